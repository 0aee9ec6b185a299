"""Attribution through a generator to its images' statistics, and how far those statistics' surrogates agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import track
from g2m_cli.device import compute_device
from g2m_cli.errors import InputError
from g2m_cli.interpretation.attribution_page import slug
from g2m_cli.interpretation.perturbation_request import chosen_spots
from g2m_cli.interpretation.redrawing import Models, aligned, patch_width_um
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_data import PairedDataset
    from g2m_interpret import ImageStatistics

_AGREEING = 1000  # images behind the agreement of surrogates, about
_BATCH = 32  # images that are differentiated at once
_EMBEDDED = 400  # real patches behind a mean image embedding, at most


@dataclass(frozen=True, kw_only=True)
class Target:
    """The spots asked for, as attribution takes them."""

    rows: NDArray[np.int64]
    expression: NDArray[np.float32]
    keys: NDArray[np.int64]
    patch_um: float


def choose_target(study: Study, models: Models, spots: PairedDataset, request: Any, *, seeds: int, seed: int) -> Target:
    """Choose spots and the noise that each is drawn from.

    Raises
    ------
    InputError
        If there is no such spot.
    """
    from g2m_interpret import draw_keys

    rows = chosen_spots(study, spots, request.where, limit=request.limit, seed=seed)
    return Target(
        rows=rows,
        expression=aligned(models.encoders, spots, rows),
        keys=draw_keys([str(name) for name in spots.obs.index[rows]], seeds, seed),
        patch_um=patch_width_um(spots, rows),
    )


def surrogates(models: Models, target: Target, names: Sequence[str] = ()) -> ImageStatistics:
    """Give differentiable image statistics of the generator's images: those named, or all.

    Raises
    ------
    InputError
        If one has no surrogate.
    """
    import torch

    from g2m_interpret import image_surrogates

    every = image_surrogates(target.patch_um / models.generator.resolution)
    known = list(every(torch.zeros(1, 3, 8, 8)))
    for name in names:
        if name not in known:
            raise InputError(f"no differentiable image statistic {name!r}; there are: {', '.join(known)}")
    return (lambda images: {name: value for name, value in every(images).items() if name in names}) if names else every


def gradients(models: Models, target: Target, statistics: ImageStatistics) -> AnnData:
    """Attribute images of these spots to genes.

    Raises
    ------
    InputError
        If the model cannot be differentiated.
    """
    from g2m_interpret import attribute_images

    encode, draw = models.differentiable()
    return attribute_images(
        target.expression,
        list(models.encoders.genes),
        target.keys,
        encode=encode,
        draw=draw,
        statistics=statistics,
        batch_size=_BATCH,
        device=compute_device(),
        track=track,
    )


def agreement_of(models: Models, spots: PairedDataset, target: Target, statistics: ImageStatistics) -> pd.DataFrame:
    """Compare surrogates with the ordinary statistics of the same name.

    Returns
    -------
    statistic (index), surrogate_agreement (Spearman's correlation over generated images of these spots),
    agreement_real (over their real patches). A statistic that has no ordinary counterpart is left out.
    """
    import pandas as pd

    from g2m_eval.morphology import image_statistics
    from g2m_interpret import image_surrogates, surrogate_agreement

    simulator = models.simulator(target.patch_um, batch_size=64)
    seeds = max(1, min(target.keys.shape[1], _AGREEING // len(target.rows)))
    drawn = simulator.draw(target.expression, target.keys[:, :seeds])
    drawn = drawn.reshape(-1, *drawn.shape[2:])
    real = spots.patches(target.rows)
    own = image_surrogates(target.patch_um / models.generator.resolution)
    of_real = image_surrogates(target.patch_um / real.shape[1])
    return pd.DataFrame(
        {
            "surrogate_agreement": surrogate_agreement(drawn, own, simulator.measure)["spearman"],
            "agreement_real": surrogate_agreement(
                real, of_real, lambda images: image_statistics(images, target.patch_um / real.shape[1])
            )["spearman"],
        }
    )


def towards(
    study: Study,
    models: Models,
    spots: PairedDataset,
    target: Target,
    where: Mapping[str, str],
    *,
    asked: Mapping[str, str],
    seed: int,
) -> ImageStatistics:
    """Give the image embedding's component from these spots' real patches to those of others.

    ``asked`` is what the spots were chosen by: of many, each choice may draw others of the same.

    Raises
    ------
    InputError
        If there is no such spot, or both are the same.
    """
    from g2m_interpret import along

    others = chosen_spots(study, spots, where, limit=_EMBEDDED, seed=seed, option="--towards")
    if set(others) <= set(target.rows) or (where and dict(where) == dict(asked)):
        raise InputError("--towards: names the spots that --spots does; name others, for example region=BAT")
    here, there = (_mean_image(models, spots, rows) for rows in (target.rows[:_EMBEDDED], others))
    name = "towards_" + slug("_".join(where.values()))
    return along(models.encoders.embed_image, there - here, name)


def joined_statistics(*parts: ImageStatistics) -> ImageStatistics:
    """Measure with several."""
    return lambda images: {name: value for part in parts for name, value in part(images).items()}


def _mean_image(models: Models, spots: PairedDataset, rows: NDArray[np.int64]) -> Any:
    import torch

    patches = torch.from_numpy(spots.patches(rows)).permute(0, 3, 1, 2)
    with torch.no_grad():
        parts = [
            models.encoders.embed_image(part.to(compute_device()).float() / 127.5 - 1)
            for part in torch.split(patches, _BATCH)
        ]
    return torch.cat(parts).mean(dim=0)
