"""The losses of StyleGAN-G; every one is a mean over its batch, so that micro-batches only need weighting by size."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Logits = Sequence[Tensor]  # one (n, position) per set of features


def spherical_distance(a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
    """Squared great-circle distance between two directions (paper, Method, Phase 2).

    4 arcsin²(|a - b| / 2) of the normalised vectors, which unlike arccos² has a finite gradient where they agree.

    Parameters
    ----------
    a, b
        Embeddings of any non-zero norm.

    Returns
    -------
    Squared angle in rad², 0 where the directions agree; finite gradients everywhere.
    """
    difference = torch.nn.functional.normalize(a, dim=1) - torch.nn.functional.normalize(b, dim=1)
    # The square root's slope is infinite at 0 and the arcsine's at 1: both ends are kept 1e-6 away.
    half_chord = (difference.square().sum(dim=1) / 4).clamp(1e-12, 1 - 1e-6).sqrt()
    return 4 * torch.asin(half_chord).square()


def feature_statistics(images: Float[Tensor, "n 3 h w"], features: Sequence[Tensor]) -> list[Tensor]:
    """Mean and deviation over an image's positions: of each colour, of the colours' differences, and of each channel.

    Deviations of colours and of their differences together fix the colours' covariance, without which tissue comes out
    in all colours of the rainbow.

    Parameters
    ----------
    features
        Each (n, token, channel) or (n, channel, height, width).

    Returns
    -------
    One (n, 2, channel) for the image, then one for each set of features.
    """
    colors = torch.cat([images, images - images.roll(1, dims=1)], dim=1)
    rows = [x.float() if x.ndim == 3 else x.float().flatten(2).transpose(1, 2) for x in (colors, *features)]
    # The square root's slope is infinite at 0, where a channel is flat.
    return [torch.stack([x.mean(dim=1), (x.var(dim=1, correction=0) + 1e-6).sqrt()], dim=1) for x in rows]


def statistics_distance(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Float[Tensor, " n"]:
    """Mean absolute difference of two images' `feature_statistics`, in units of the real image's mean deviation.

    Feature matching (Salimans et al. 2016) of each generated patch to the patch its condition comes from: what all
    patches of a condition share (colour, texture) is learned from the first step on; where things lie is left free.
    """
    scaled = []
    for a, b in zip(fake, real, strict=True):
        scale = b[:, 1].mean(dim=1) + 1e-3
        scaled.append((a - b).abs().mean(dim=(1, 2)) / scale)
    return torch.stack(scaled).mean(dim=0)


def hinge_real(logits: Logits) -> Float[Tensor, ""]:
    """Hinge loss of the discriminator on real images: 0 once every logit is at least 1 (Lim & Ye 2017)."""
    return _mean_of_heads([torch.relu(1 - logit) for logit in logits])


def hinge_fake(logits: Logits) -> Float[Tensor, ""]:
    """Hinge loss of the discriminator on generated images: 0 once every logit is at most -1."""
    return _mean_of_heads([torch.relu(1 + logit) for logit in logits])


def adversarial(logits: Logits) -> Float[Tensor, ""]:
    """The generator's side of the hinge loss: minus the mean logit."""
    return _mean_of_heads([-logit for logit in logits])


def accuracy(logits: Logits, *, real: bool) -> Float[Tensor, ""]:
    """Share of positions whose logit has the right sign."""
    return _mean_of_heads([((logit > 0) == real).float() for logit in logits])


def _mean_of_heads(values: Logits) -> Float[Tensor, ""]:
    # Heads count alike. With a ViT's equally long token sequences that is the plain mean over all logits; over a
    # CNN's pyramid the largest map would otherwise drown the deep ones.
    return torch.stack([value.float().mean() for value in values]).mean()
