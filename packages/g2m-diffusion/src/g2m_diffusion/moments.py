"""Latents of all patches, computed once: an autoencoder that stays frozen need not run in every step."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from g2m_diffusion.errors import InputError
from g2m_diffusion.noise import Stream, draw_normal
from g2m_diffusion.views import VIEW_COUNTS, read_patches, resize

Track = Callable[..., Iterable[Any]]
LOG_VARIANCE_RANGE = (-30.0, 20.0)  # diffusers' own, of `DiagonalGaussianDistribution`


def pass_through(sequence: Iterable[Any], **_: Any) -> Iterable[Any]:
    """The silent default of `track`."""
    return sequence


@torch.no_grad()
def write_moments(
    autoencoder: AutoencoderKL,
    patches: Callable[[NDArray[np.int64]], Tensor],
    count: int,
    out: str | Path,
    *,
    resolution: int,
    encode_px: int = 0,
    views: Literal["one", "flips"] = "flips",
    batch_size: int = 64,
    track: Track = pass_through,
) -> None:
    """Encode patches, and their mirror images, into a file that appears complete or not at all.

    Parameters
    ----------
    autoencoder
        Runs where it is, in its own precision.
    patches
        From row numbers, int64 (n,), to uint8 (n, 3, h, w).
    count
        Number of rows.
    out
        A .npy of float16 (count, view, 2 * channel, h', w'), to be memory-mapped: the posterior's mean, then its log
        variance, neither shifted nor scaled. View 0 is the patch as it is, view 1 mirrored left-right.
    resolution
        Patches are brought to this width in pixels.
    encode_px
        And from there to this one, before they are encoded; 0: no further.
    views
        "flips", or "one" for view 0 alone.
    batch_size
        Patches encoded at once.
    track
        As `rich.progress.track`.

    Raises
    ------
    InputError
        The autoencoder cannot halve this width as often as it would.
    """
    target, config = Path(out), autoencoder.config
    width, factor = encode_px or resolution, 2 ** (len(config.block_out_channels) - 1)
    if width % factor:
        raise InputError(
            f"patches of {width} px: this autoencoder needs a multiple of {factor}; change codes.encode_px or "
            "codes.resolution"
        )
    shape = (count, VIEW_COUNTS[views], 2 * config.latent_channels, width // factor, width // factor)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        moments = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        starts = range(0, count, batch_size)
        for start in track(starts, description="Encoding", total=len(starts)):
            rows = np.arange(start, min(start + batch_size, count), dtype=np.int64)
            images = read_patches(patches(rows).to(autoencoder.device), resolution)
            for view in range(shape[1]):
                seen = resize(images.flip(3) if view else images, width)
                encoded = autoencoder.encode(seen.to(autoencoder.dtype)).latent_dist.parameters
                moments[rows, view] = encoded.float().cpu().numpy()
        moments.flush()
        del moments  # lets go of the file
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def sample_moments(
    moments: Float[Tensor, "n moment h w"], keys: Int[Tensor, " n"], scaling_factor: float, shift_factor: float = 0.0
) -> Float[Tensor, "n c h w"]:
    """Draw a latent of each posterior with its key's noise, shifted and scaled to unit variance.

    Parameters
    ----------
    moments
        One view of what `write_moments` wrote: twice as many channels as a latent has.
    scaling_factor, shift_factor
        Of the autoencoder's configuration.
    """
    mean, log_variance = moments.float().chunk(2, dim=1)
    return (sample_posterior(mean, log_variance, keys) - shift_factor) * scaling_factor


def sample_posterior(
    mean: Float[Tensor, "n c h w"], log_variance: Float[Tensor, "n c h w"], keys: Int[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Draw a latent of each posterior with its key's noise."""
    noise = draw_normal(keys.to(mean.device), Stream.POSTERIOR, mean[0].numel()).reshape(mean.shape)
    return mean + (log_variance.clamp(*LOG_VARIANCE_RANGE) / 2).exp() * noise
