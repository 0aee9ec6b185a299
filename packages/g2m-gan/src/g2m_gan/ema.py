"""The exponential moving average of a module's weights, with its half-life counted in images."""

import copy

import torch
from torch import Tensor, nn

from g2m_gan.config import EmaSettings


def ema_decay(settings: EmaSettings, images_seen: int, batch_size: int) -> float:
    """What one step leaves of the average: 0.5^(batch / half-life), the half-life at most `ramp_up` x images seen."""
    half_life = min(settings.half_life_images, settings.ramp_up * images_seen)
    return float(0.5 ** (batch_size / max(half_life, 1e-8)))


class AveragedModule:
    """A frozen copy of a module whose parameters follow the original's."""

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, source: nn.Module, decay: float) -> None:
        """Move towards `source`: average = decay * average + (1 - decay) * source; buffers are copied."""
        averages: list[Tensor] = list(self.module.parameters())
        currents: list[Tensor] = list(source.parameters())
        torch._foreach_lerp_(averages, currents, 1 - decay)
        torch._foreach_copy_(list(self.module.buffers()), list(source.buffers()))

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights and buffers, by name."""
        return dict(self.module.state_dict())

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        self.module.load_state_dict(state)
