"""Which genes move what a generator paints: attribution through it to image statistics, and the page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.console import say
from g2m_cli.interpretation.attribution_page import slug
from g2m_cli.interpretation.clusters import clusters_parent
from g2m_cli.interpretation.factor_truth import factor_effects, factor_metrics
from g2m_cli.interpretation.image_gradients import (
    agreement_of,
    choose_target,
    gradients,
    joined_statistics,
    surrogates,
    towards,
)
from g2m_cli.interpretation.images_page import image_sections
from g2m_cli.interpretation.perturbation_request import spoken
from g2m_cli.interpretation.redrawing import Models
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_interpret import InterpretationSettings

FILE = "attributions.h5ad"
_POOR = 0.5  # agreement of a surrogate below which the reader is warned


@dataclass(frozen=True, kw_only=True)
class ImagesRequest:
    """One attribution of images."""

    model: str
    """Run of the generator."""
    statistics: tuple[str, ...] = ()
    """All that have a surrogate by default."""
    where: Mapping[str, str]
    """All must hold of a spot, as in a perturbation."""
    towards: Mapping[str, str]
    """Spots whose mean image embedding is a target besides, chosen alike; none if empty."""
    limit: int = 40
    """Spots at most, drawn at random."""

    @property
    def name(self) -> str:
        """Of its folder."""
        where = [part for key, value in sorted(self.where.items()) for part in (key, value)]
        towards = [part for key, value in sorted(self.towards.items()) for part in ("towards", key, value)]
        return slug("-".join([*(where or ["all"]), *towards, self.model]))


def write_images(
    study: Study,
    settings: RunSettings[InterpretationSettings],
    request: ImagesRequest,
    *,
    out: Path | None = None,
) -> tuple[Path, pd.DataFrame]:
    """Write which genes move which image statistic: the page, attributions.h5ad, genes.csv, statistics.csv, figures.

    Parameters
    ----------
    study
        Whose dataset, encoders and generator.
    settings
        What is used are ``perturbation.seeds`` and the seed.
    request
        Statistics, spots and target.
    out
        Folder; ``interpret/images/<name>`` of the study by default. An older one is replaced at once.

    Returns
    -------
    The page, and a row a statistic: mean, deviation, agreement of its surrogate, and on a phantom how its factor's
    genes rank.

    Raises
    ------
    InputError
        If a statistic, spot or model is not there, or the model cannot be differentiated.
    """
    import pandas as pd

    from g2m_data import open_dataset
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable

    target = out or study.root / "interpret" / "images" / request.name
    check_replaceable(target, "images")
    spots = open_dataset(study.dataset, split="test")
    models = Models.open(study, request.model, image=bool(request.towards))
    own = settings.model.perturbation
    chosen = choose_target(study, models, spots, request, seeds=own.seeds, seed=settings.seed)
    statistics = surrogates(models, chosen, request.statistics)
    if request.towards:
        direction = towards(study, models, spots, chosen, request.towards, asked=request.where, seed=settings.seed)
        statistics = joined_statistics(statistics, direction)
    say(f"{len(chosen.rows)} spots x {own.seeds} seeds: {chosen.keys.size:,} images to draw and to differentiate")
    found = gradients(models, chosen, statistics)
    agreement = agreement_of(models, spots, chosen, statistics)
    effects = factor_effects(study.dataset, request.where)
    scores = {
        name: factor_metrics(pd.Series(found.X[row], index=found.var_names), effects[name])
        for row, name in enumerate(found.obs_names)
        if name in effects
    }
    table = found.obs[["mean", "deviation"]].join(agreement).join(pd.DataFrame.from_dict(scores, orient="index"))
    table = table.rename_axis("statistic").reset_index()
    genes = genes_table(found, effects)
    warnings = [
        f"The surrogate of {row.statistic} follows it poorly here (Spearman {row.surrogate_agreement:.2f}): its genes "
        "are not to be relied on."
        if np.isfinite(row.surrogate_agreement)
        else f"Whether the surrogate of {row.statistic} follows it is unknown here: its genes are not to be relied on."
        for row in table.itertuples()
        if row.statistic in agreement.index and not row.surrogate_agreement >= _POOR
    ]
    for sentence in warnings:
        say(f"warning: {sentence}")
    where = spoken(request.where)
    write_report(
        target,
        title=f"Genes behind images: {spots.manifest['study']}",
        lead=f"{request.model}; {len(chosen.rows)} test spots of {where} x {own.seeds} seeds; {found.n_vars:,} genes",
        metrics={"images": {row["statistic"]: _numbers(row) for row in table.to_dict("records")}},
        sections=image_sections(table, genes, request.model, known=bool(scores)),
        warnings=warnings,
        provenance=provenance(
            "images",
            {"seeds": own.seeds, **asdict(request), "seed": settings.seed},
            {**models.parents, **clusters_parent(study, request.where, request.towards)},
        ),
        files={FILE: found.write_h5ad, "genes.csv": lambda path: genes.to_csv(path, index=False)},
    )
    return target / "report.html", table


def genes_table(found: AnnData, effects: Mapping[str, pd.Series]) -> pd.DataFrame:
    """List every gene of every statistic, largest change first.

    Returns
    -------
    statistic, rank, gene, change (predicted, when counts double), standard_error, knockout, gradient and, where a
    factor of the phantom is known, true_effect (NaN for genes that are not the factor's).
    """
    import pandas as pd

    parts = []
    for row, name in enumerate(found.obs_names):
        table = pd.DataFrame(
            {
                "statistic": name,
                "gene": found.var_names.to_numpy(),
                "change": found.X[row],
                **{key: found.layers[key][row] for key in ("standard_error", "knockout", "gradient")},
            }
        )
        table = table.iloc[np.lexsort([table["gene"], -table["change"].abs()])]
        table.insert(1, "rank", np.arange(1, len(table) + 1))
        if effects:
            table["true_effect"] = table["gene"].map(effects[name]) if name in effects else np.nan
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    import pandas as pd

    return {key: value for key, value in row.items() if key != "statistic" and not pd.isna(value)}
