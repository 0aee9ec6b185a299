"""What the denoiser is asked at which noise, and the loss of its answer."""

from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler
from jaxtyping import Float, Int
from torch import Tensor

from g2m_diffusion.config import ObjectiveSettings
from g2m_diffusion.noise import Stream, draw_normal, draw_uniform

FLOW_TIME_SCALE = 1000.0  # a flow's time in [0, 1] times this is what the U-Net's time embedding gets, as in diffusers


class Objective:
    """Noises codes and weighs errors.

    Everything is drawn from the samples' keys.

    Parameters
    ----------
    settings
        Which target.
    """

    def __init__(self, settings: ObjectiveSettings) -> None:
        self.settings = settings
        self._ddpm = None if settings.target == "flow" else DDPMScheduler(**_ddpm_config(settings))

    def ask(self, codes: Float[Tensor, "n c h w"], keys: Int[Tensor, " n"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mix noise into codes.

        Returns
        -------
        noisy (n, c, h, w), time (n,) as the U-Net gets it, target (n, c, h, w) and weight (n,).
        """
        noise = draw_normal(keys, Stream.NOISE, codes[0].numel()).reshape(codes.shape)
        if self._ddpm is None:
            return self._ask_flow(codes, noise, keys)
        return self._ask_ddpm(self._ddpm, codes, noise, keys)

    def _ask_flow(self, codes: Tensor, noise: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Rectified flow (Liu et al. 2023): straight paths; times as in Esser et al. 2024, Eq. 19
        settings = self.settings
        time = torch.sigmoid(settings.time_mean + settings.time_sd * draw_normal(keys, Stream.TIME, 1)[:, 0])
        t = time[:, None, None, None]
        return (1 - t) * codes + t * noise, time * FLOW_TIME_SCALE, noise - codes, torch.ones_like(time)

    def _ask_ddpm(
        self, ddpm: DDPMScheduler, codes: Tensor, noise: Tensor, keys: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        steps = self.settings.ddpm_steps
        time = (draw_uniform(keys, Stream.TIME, 1)[:, 0] * steps).long().clamp(max=steps - 1)
        noisy = ddpm.add_noise(codes, noise, time)
        velocity = self.settings.target == "v_prediction"
        target = ddpm.get_velocity(codes, noise, time) if velocity else noise
        return noisy, time.float(), target, self._min_snr_weight(ddpm, time)

    def _min_snr_weight(self, ddpm: DDPMScheduler, time: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Hang et al. 2023: min(SNR, gamma) on the clean code's error, expressed for the target that is predicted."""
        gamma = self.settings.snr_gamma
        if not gamma:
            return torch.ones(len(time), device=time.device)
        alpha = ddpm.alphas_cumprod.to(time.device)[time]
        snr = alpha / (1 - alpha)
        weight: Tensor = snr.clamp(max=gamma) / (snr + 1 if self.settings.target == "v_prediction" else snr)
        return weight

    def scheduler(self) -> DDIMScheduler | FlowMatchEulerDiscreteScheduler:
        """The few-step sampler that belongs to the target; any other of the same prediction type can take its place."""
        if self._ddpm is None:
            return FlowMatchEulerDiscreteScheduler(num_train_timesteps=int(FLOW_TIME_SCALE), shift=1.0)
        # the last step ends at the clean code, not at the least noise of training
        config = {**_ddpm_config(self.settings), "clip_sample": False, "set_alpha_to_one": True}
        # trailing: the first step is at the last noise level, which is what sampling starts from
        return DDIMScheduler(**config, timestep_spacing="trailing")


def weighted_error(
    answer: Float[Tensor, "n c h w"], target: Float[Tensor, "n c h w"], weight: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean over samples of weight times mean squared error."""
    return ((answer.float() - target).square().mean(dim=(1, 2, 3)) * weight).mean()


def _ddpm_config(settings: ObjectiveSettings) -> dict[str, Any]:
    """Stable Diffusion's noise schedule (Rombach et al. 2022)."""
    return {
        "num_train_timesteps": settings.ddpm_steps,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": settings.target,
        "rescale_betas_zero_snr": settings.ddpm_zero_snr,
    }
