"""A phantom's factors, each driven by its own genes: does the generator paint what they stand for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.console import say, track
from g2m_cli.errors import InputError
from g2m_cli.interpretation.clusters import REGION, labels_of
from g2m_cli.interpretation.redrawing import Models, aligned, learn_familiarity, patch_width_um
from g2m_cli.interpretation.strip import Strip, draw_strip
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study

if TYPE_CHECKING:
    from g2m_data import PairedDataset
    from g2m_interpret import DoseResponse, Edit, Familiarity, InterpretationSettings, PerturbationSettings


MONOTONE, CLEAR = 0.8, 0.95
"""Spearman's correlation of dose and statistic, and share of random sets exceeded, from which a factor obeys."""


def fault_of(driven: Mapping[str, Any]) -> str | None:
    """Say in what an image statistic does not obey the dose of its factor's genes; None if it does.

    Parameters
    ----------
    driven
        A factor of ``perturbation.factors`` in metrics.json: ``sign``, ``change``, ``dose_spearman`` and
        ``beyond_random``, the latter two null where nothing is known.
    """
    rho, beyond, sign = driven["dose_spearman"], driven["beyond_random"], driven["sign"]
    if rho is None or not np.isfinite(rho):
        return "does not move generated tissue measurably"
    if driven["change"] * sign <= 0:
        return "moves generated tissue the wrong way"
    if rho * sign < MONOTONE:
        return "does not move generated tissue steadily with the dose"
    if beyond is None or not np.isfinite(beyond):
        return "was not compared with random genes"
    if beyond < CLEAR:
        return "moves generated tissue no further than other genes do"
    return None


def signed_spearman(driven: Mapping[str, Any]) -> float:
    """Give the correlation of dose and statistic, positive where the statistic goes the right way; NaN if unknown."""
    rho = driven["dose_spearman"]
    return float("nan") if rho is None else float(rho * driven["sign"])


def followed_factors(model: Mapping[str, Any]) -> list[str]:
    """Name the factors that a generator's patches follow within regions, of a generator in metrics.json."""
    from g2m_eval.report.comparison import follows

    return [name for name, value in model["factors"].items() if follows(value)]


def obeys(driven: Mapping[str, Any]) -> bool:
    """Whether an image statistic follows the dose of its factor's genes, further than random genes take it."""
    return fault_of(driven) is None


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
    warnings: tuple[str, ...] = ()
    """Doses that take profiles out of what was trained on."""

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
    familiarity = learn_familiarity(study, models.encoders, spots, np.arange(len(spots)), seed)
    driven = []
    for factor in read_factors(study.dataset, models.encoders.genes):
        rows = spread_rows(regions, factor.regions, own.spots, seed=seed)
        if not len(rows) or not (factor.up or factor.down):
            say(f"{factor.name}: {'no gene in the panel' if len(rows) else 'no pure test spot'}; left out")
            continue
        expression = aligned(models.encoders, spots, rows)
        response = dose_response(
            models.simulator(patch_width_um(spots, rows), batch_size=own.batch_size),
            expression,
            factor.up,
            draw_keys([str(name) for name in spots.obs.index[rows]], own.seeds, seed),
            down=factor.down,
            settings=own,
            seed=seed,
            track=track,
        )
        unlike = _unlike_training(factor, expression, models.encoders.genes, own, familiarity)
        driven.append(DrivenFactor(factor=factor, rows=rows, response=response, warnings=unlike))
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


def _unlike_training(
    factor: Factor,
    expression: NDArray[np.float32],
    panel: Sequence[str],
    settings: PerturbationSettings,
    familiarity: Familiarity | None,
) -> tuple[str, ...]:
    """Warn of the lowest and the highest dose, where they leave the training distribution."""
    from g2m_interpret import edit_expression

    if familiarity is None:
        return ()
    before = float(familiarity.is_familiar(expression).mean())
    found = []
    for dose in (min(settings.doses), max(settings.doses)):
        edited = edit_expression(expression, panel, factor.edit(dose, settings))
        share = float(familiarity.is_familiar(edited).mean())
        if share < 0.5 * before:
            found.append(
                f"{factor.name.replace('_', ' ')} x {dose:g}: {1 - share:.0%} of the edited profiles are unlike any "
                f"in training (unedited {1 - before:.0%}); what is drawn from them is a guess."
            )
    return tuple(found)


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
