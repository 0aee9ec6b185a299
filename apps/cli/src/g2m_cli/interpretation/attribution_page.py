"""What the page of attributions shows: every pair, and the genes at its top."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from g2m_eval import ReportFigure, ReportSection
    from g2m_interpret import AttributionSettings

SAMPLE = "sample"
"""obs of attributions.h5ad: the section whose spots were compared, or how many sections together."""
HALVES = "shared_by_halves"
"""obs of attributions.h5ad: share of the 100 top genes that two random halves of the spots have in common."""
GENES, PAIRS = "genes.csv", "pairs.csv"
_SHARED = "shared_with_"
_REFERENCES = 5  # panels of a figure
_NAMED = 3  # genes named in the table of pairs


def slug(name: str) -> str:
    """Make a name fit for a file: ``IM&P`` is ``IMandP``."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name.replace("&", "and")).strip("-") or "unnamed"


def joined(top: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the top genes of several sections."""
    import pandas as pd

    return pd.concat([table.assign(sample=group) for group, table in top.items()], ignore_index=True)


def pairs_table(found: AnnData, top: pd.DataFrame, shared: pd.DataFrame, scores: pd.DataFrame | None) -> pd.DataFrame:
    """List all pairs: distance, completeness, first genes and, where the truth is known, how well they fare.

    Parameters
    ----------
    found
        Attributions.
    top
        Top genes of all pairs, as `joined`.
    shared
        Of `g2m_interpret.shared_top`, a row a pair.
    scores
        Of `driver_scores`, a row a pair.
    """
    keys = [SAMPLE, "query", "reference"]
    columns = [*keys, "distance_change", "completeness_error", "evaluations", HALVES]
    table: pd.DataFrame = found.obs.reset_index(drop=True)[columns]
    named = top[top["rank"] <= _NAMED].groupby(keys, observed=True)["gene"].agg(", ".join)
    table = table.join(named.rename("top_genes"), on=keys)
    table = table.assign(
        **{f"{_SHARED}{name}": shared[name].to_numpy() for name in ("difference", "untrained") if name in shared}
    )
    if scores is not None:
        judged = {"driver_auroc": "auroc", "difference_auroc": "difference_auroc", "untrained_auroc": "untrained_auroc"}
        table = table.assign(**{name: scores[of].to_numpy() for name, of in judged.items() if of in scores})
    return table


def pairs_section(table: pd.DataFrame, settings: AttributionSettings) -> ReportSection:
    """Show the table of all pairs, as `pairs_table` gave it or pairs.csv keeps it."""
    from g2m_eval import ReportSection, ReportTable

    caption = (
        "distance_change: squared distance of the query's mean expression, embedded, from the reference "
        f"({settings.reference}), less that of the reference's own. completeness_error: what the attributions of all "
        "genes miss of it, as a share; evaluations: gradients along the path."
    )
    if HALVES in table:
        caption += f" {HALVES}: share of the 100 top genes that two random halves of the spots have in common."
    if f"{_SHARED}difference" in table:
        caption += (
            f" {_SHARED}difference: share of the 100 top genes that are also among the 100 of largest difference of "
            "mean log1p expression."
        )
    if f"{_SHARED}untrained" in table:
        caption += (
            f" {_SHARED}untrained: the same of encoders with fresh weights; what is shared, the encoder need not have "
            "learned."
        )
    if "driver_auroc" in table:
        caption += (
            " driver_auroc: how well the score tells genes whose true mean is at least 1.5 times higher in the query "
            "from genes whose true means are within 1.1 fold; difference_auroc: the same by the plain difference of "
            "mean log1p expression; untrained_auroc: the same by encoders with fresh weights."
        )
    return ReportSection(
        title="Every pair",
        text="Integrated gradients, from the reference cluster's mean expression to the query's, say how much each "
        "gene contributes to the distance between their embeddings. That is what the encoder reads, not cause.",
        tables=[ReportTable(table=table, caption=caption, name="pairs")],
    )


def genes_section(group: str, top: pd.DataFrame, settings: AttributionSettings) -> ReportSection:
    """Figures of one section's top genes, one a query."""
    from g2m_eval import ReportSection

    score = (
        "|integrated gradient| of genes that the query expresses more"
        if settings.score == "upregulated"
        else "integrated gradient, signed"
    )
    return ReportSection(
        title=f"Top genes, {group}",
        text=f"Score: {score}. genes.csv has the first {top['rank'].max()} of every pair.",
        figures=[figure for query in dict.fromkeys(top["query"]) for figure in _figures(group, query, top)],
    )


def _figures(group: str, query: str, top: pd.DataFrame) -> list[ReportFigure]:
    from g2m_eval import ReportFigure
    from g2m_interpret import figure_top_genes

    references = list(dict.fromkeys(top.loc[top["query"] == query, "reference"]))
    figures = []
    for start in range(0, len(references), _REFERENCES):
        shown = top[top["reference"].isin(references[start : start + _REFERENCES])]
        part = f"-{start // _REFERENCES + 1}" if len(references) > _REFERENCES else ""
        figures.append(
            ReportFigure(
                name=f"genes-{slug(group)}-{slug(query)}{part}",
                figure=figure_top_genes(shown, query),
                caption=f"The genes of highest score that tell {query} from each other cluster; {group}.",
            )
        )
    return figures
