"""A phantom's factors, each driven by its own genes: does the generator paint what they stand for?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.clusters import REGION, labels_of
from g2m_cli.interpretation.redrawing import Models, aligned, patch_width_um
from g2m_cli.interpretation.strip import Strip, draw_strip
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study

if TYPE_CHECKING:
    from g2m_data import PairedDataset
    from g2m_interpret import DoseResponse, Edit, InterpretationSettings, PerturbationSettings


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor of the truth, and the genes that follow it."""

    name: str
    regions: tuple[str, ...]
    """Where it is drawn."""
    statistic: str
    """Of the image, which sees it."""
    sign: int
    """Of the statistic when the factor rises."""
    up: tuple[str, ...]
    """Genes that rise with it."""
    down: tuple[str, ...]
    """Genes that fall."""

    def edit(self, fold: float, settings: PerturbationSettings) -> Edit:
        """Drive the factor's genes: those that rise times ``fold``, the others divided by it."""
        from g2m_interpret import Edit

        return Edit(up=self.up, down=self.down, fold=fold, renormalise=settings.renormalise, label=f"x {fold:g}")


@dataclass(frozen=True, kw_only=True)
class DrivenFactor:
    """What came of it."""

    factor: Factor
    rows: NDArray[np.int64]
    """Test spots."""
    response: DoseResponse

    @property
    def clear(self) -> float:
        """How far the change goes the right way, in root mean squares of what random sets change."""
        column = list(self.response.summary.index).index(self.factor.statistic)
        random = float(np.sqrt(np.nanmean(self.response.random[:, column] ** 2))) if len(self.response.random) else 1.0
        change = float(self.response.summary["change"].iloc[column])
        return self.factor.sign * change / max(random, 1e-12) if np.isfinite(change) else -np.inf


def drive_factors(
    study: Study, spots: PairedDataset, models: Models, settings: RunSettings[InterpretationSettings]
) -> list[DrivenFactor]:
    """Draw each factor's doses at some spots of its regions; a factor without any is left out, and told.

    Raises
    ------
    InputError
        If no factor is left.
    """
    from g2m_interpret import dose_response, draw_keys

    own, seed = settings.model.perturbation, settings.seed
    regions = labels_of(study, spots, REGION)
    driven = []
    for factor in read_factors(study.dataset, models.encoders.genes):
        rows = spread_rows(regions, factor.regions, own.spots, seed=seed)
        if not len(rows) or not factor.up:
            say(f"{factor.name}: {'no gene in the panel' if len(rows) else 'no pure test spot'}; left out")
            continue
        response = dose_response(
            models.simulator(patch_width_um(spots, rows), batch_size=own.batch_size),
            aligned(models.encoders, spots, rows),
            factor.up,
            draw_keys([str(name) for name in spots.obs.index[rows]], own.seeds, seed),
            down=factor.down,
            settings=own,
            seed=seed,
            track=track,
        )
        driven.append(DrivenFactor(factor=factor, rows=rows, response=response))
    if not driven:
        raise InputError(f"{study.dataset}: no factor of its truth is drawn at a test spot of one region")
    return driven


def read_factors(dataset: Path, panel: Sequence[str]) -> list[Factor]:
    """Read the factors of a phantom's truth, with those of their genes that the panel has."""
    from g2m_data.truth import read_factors as factors_of
    from g2m_data.truth import read_genes

    genes = read_genes(dataset / "truth")
    genes = genes[genes["gene"].isin(list(panel))]
    found = []
    for row in factors_of(dataset / "truth").to_dict("records"):
        own = genes[genes["factor"] == row["factor"]]
        found.append(
            Factor(
                name=str(row["factor"]),
                regions=tuple(str(row["regions"]).split(";")),
                statistic=str(row["statistic"]),
                sign=int(row["sign"]),
                up=tuple(own.loc[own["effect"] > 0, "gene"]),
                down=tuple(own.loc[own["effect"] < 0, "gene"]),
            )
        )
    return found


def spread_rows(labels: NDArray[np.str_], wanted: Sequence[str], most: int, *, seed: int) -> NDArray[np.int64]:
    """Draw at most so many rows, as evenly from the wanted labels as there are rows."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(np.flatnonzero(np.isin(labels, list(wanted))))
    turn = np.zeros(len(order), dtype=np.int64)
    for label in wanted:
        here = labels[order] == label
        turn[here] = np.arange(here.sum())
    return np.sort(order[np.argsort(turn, kind="stable")][:most]).astype(np.int64)


def strip_of(
    driven: DrivenFactor, spots: PairedDataset, models: Models, settings: PerturbationSettings, *, seed: int
) -> Strip:
    """Draw some of a factor's spots at the lowest and the highest dose."""
    from g2m_interpret import draw_keys

    rows = driven.rows
    return draw_strip(
        models.simulator(patch_width_um(spots, rows), batch_size=settings.batch_size),
        spots,
        rows,
        aligned(models.encoders, spots, rows),
        [driven.factor.edit(dose, settings) for dose in (min(settings.doses), max(settings.doses))],
        draw_keys([str(name) for name in spots.obs.index[rows]], settings.seeds, seed),
    )
