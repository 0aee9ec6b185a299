"""Figures of attribution and enrichment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from g2m_interpret import keys
from g2m_interpret.errors import InputError
from g2m_interpret.figures.style import DOWN, MUTED, UP, drawing, styled


def figure_top_genes(top: pd.DataFrame, query: str, *, genes: int = 12) -> Figure:
    """The genes that tell a cluster from each other one.

    Parameters
    ----------
    top
        Of `top_genes`.
    query
        Whose panels are drawn, one a reference.
    genes
        Bars a panel.

    Raises
    ------
    InputError
        The query has no pair.
    """
    own = top[top[keys.QUERY] == query]
    references = list(dict.fromkeys(own[keys.REFERENCE]))
    if not references:
        raise InputError(f"no pair has {query!r} as its query")
    with drawing():
        figure = styled(1.2 + 1.75 * len(references), 0.75 + 0.19 * genes)
        panels = figure.subplots(1, len(references), squeeze=False)[0]
        for axes, reference in zip(panels, references, strict=True):
            shown = own[own[keys.REFERENCE] == reference].head(genes)
            score = shown["score"].to_numpy()
            axes.barh(np.arange(len(shown)), score, color=np.where(score >= 0, UP, DOWN), height=0.75)
            axes.set_yticks(np.arange(len(shown)), shown["gene"])
            axes.set_ylim(genes - 0.4, -0.6)
            axes.tick_params(axis="y", length=0)
            axes.locator_params(axis="x", nbins=3)
            axes.set_title(f"against {reference}", loc="center")  # from the left, a long name runs out of the figure
        figure.suptitle(f"{query}: genes by attribution", x=0.01, ha="left", fontweight="bold")
        figure.supxlabel("integrated gradient of the squared embedding distance", fontsize=8.5, color=MUTED)
    return figure


def figure_enrichment(terms: pd.DataFrame, *, most: int = 24) -> Figure:
    """Normalised enrichment scores of significant terms, highest first (paper, Table 3, as bars).

    Parameters
    ----------
    terms
        Of `terms_table` for one or several samples.
    most
        Bars at most, by the size of NES; the title says how many there are.
    """
    strongest = terms.reindex(terms["nes"].abs().sort_values(ascending=False, kind="stable").index).head(most)
    shown = strongest.sort_values("nes", ascending=False, kind="stable")
    several = terms["sample"].nunique() > 1
    names = [
        f"{_shortened(str(row['term']))}   {row[keys.QUERY]} / {row[keys.REFERENCE]}"
        + (f" ({row['sample']})" if several else "")
        for _, row in shown.iterrows()
    ]
    with drawing():
        figure = styled(7.2, 1.0 + 0.2 * max(len(shown), 2))
        axes = figure.subplots()
        nes = shown["nes"].to_numpy(dtype=float)
        axes.barh(np.arange(len(shown)), nes, color=np.where(nes >= 0, UP, DOWN), height=0.7)
        axes.set_yticks(np.arange(len(shown)), names)
        axes.invert_yaxis()
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("normalised enrichment score")
        if len(shown):
            axes.set_title(f"{len(shown)} of {len(terms)} significant terms (query / reference)", loc="right")
        else:
            axes.text(0.5, 0.5, "no term is significant", transform=axes.transAxes, ha="center", va="center")
            axes.set_yticks([])
    return figure


def _shortened(term: str, most: int = 46) -> str:
    return term if len(term) <= most else term[: most - 1].rstrip() + "…"
