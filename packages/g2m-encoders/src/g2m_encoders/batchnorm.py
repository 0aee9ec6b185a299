import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from g2m_encoders.distributed import add_over_processes, world_size


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batch of all processes, on any device.

    Torch's SyncBatchNorm does the same on GPUs only. With one process, or in evaluation, this is `nn.BatchNorm2d`,
    parameter names and arithmetic included. `drop` and `act` are those of timm's fused BatchNormAct2d.
    """

    def __init__(self, source: nn.BatchNorm2d) -> None:
        super().__init__(source.num_features, source.eps, source.momentum, source.affine, source.track_running_stats)
        self.load_state_dict(source.state_dict(), strict=False)
        self.train(source.training)
        self.drop = source.drop if isinstance(source, BatchNormAct2d) else nn.Identity()
        self.act = source.act if isinstance(source, BatchNormAct2d) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """As torch's, with statistics of the global batch."""
        alone = not self.training or world_size() == 1
        normalized = super().forward(x) if alone else self._normalize_globally(x)
        activated: Tensor = self.act(self.drop(normalized))
        return activated

    def _normalize_globally(self, given: Tensor) -> Tensor:
        # sums over a batch need more digits than autocast's types have
        x = given.to(torch.promote_types(given.dtype, torch.float32))
        count = x.numel() // x.shape[1] * world_size()
        mean = add_over_processes(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[None, :, None, None]
        variance = add_over_processes(centred.square().sum(dim=(0, 2, 3))) / count
        if self.track_running_stats and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
                self.running_var.lerp_(variance * count / (count - 1), momentum)  # type: ignore[union-attr]
        scale = torch.rsqrt(variance + self.eps)
        normalized = centred * scale[None, :, None, None]
        if self.affine:
            normalized = normalized * self.weight[None, :, None, None] + self.bias[None, :, None, None]
        return normalized.to(given.dtype)


def make_batch_norm_global(module: nn.Module) -> nn.Module:
    """Replace every 2-D batch norm in `module` by one over all processes' batch; gives `module` or its replacement."""
    if type(module) in (nn.BatchNorm2d, BatchNormAct2d):
        return GlobalBatchNorm2d(module)  # type: ignore[arg-type]
    for name, child in module.named_children():
        replacement = make_batch_norm_global(child)
        if replacement is not child:
            setattr(module, name, replacement)
    return module
