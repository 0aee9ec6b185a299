"""What the page of genes behind images shows: bars a statistic, how far surrogates are to be trusted, all numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval import ReportSection

_LISTED = 8  # genes a statistic in the table of the page


def image_sections(table: pd.DataFrame, genes: pd.DataFrame, model: str, *, known: bool) -> list[ReportSection]:
    """Chapters of the page.

    Parameters
    ----------
    table
        A row a statistic.
    genes
        Every gene of every statistic.
    model
        Generator.
    known
        Whether the true genes of a phantom's factors are known.
    """
    from g2m_eval import ReportFigure, ReportSection, ReportTable
    from g2m_interpret import figure_image_genes

    marks = genes[genes["true_effect"].notna()] if known else genes.iloc[:0]
    figure = figure_image_genes(
        genes,
        known=set(zip(marks["statistic"], marks["gene"], strict=True)),
        known_as="the factor's own genes in the phantom",
    )
    bars = ReportFigure(
        name="genes",
        figure=figure,
        caption=f"For each image statistic, the genes whose doubling changes it most in what {model} draws: the "
        "gradient through generator and encoder, averaged over spots and noise; lines: standard error over spots.",
    )
    caption = (
        "mean, deviation: of the surrogate over generated images. surrogate_agreement: Spearman's correlation of the "
        "differentiable surrogate with the ordinary statistic, over generated images; agreement_real: over real "
        "patches of the same spots."
    )
    if known:
        caption += (
            " factor_auroc: how well the size of the change tells the genes that drive this statistic in the phantom "
            "from all others; factor_same_sign: share of them whose change goes the true way; factor_in_top20: how "
            "many are among the twenty largest, of factor_genes."
        )
    shown = genes[genes["rank"] <= _LISTED]
    return [
        ReportSection(
            title="Genes that move the image",
            text="First order: what a small change does, and what the model has learned to draw, not what tissue "
            "would do. `g2m interpret screen` redraws the strongest to see whether it holds.",
            figures=[bars],
        ),
        ReportSection(
            title="How far to trust each statistic",
            tables=[ReportTable(table=table, name="statistics", caption=caption)],
        ),
        ReportSection(
            title="The first genes",
            tables=[
                ReportTable(
                    table=shown,
                    caption=f"The {_LISTED} genes of largest change of each statistic; genes.csv has all. change: "
                    "predicted when counts double; knockout: when they become 0; gradient: by log1p expression.",
                )
            ],
        ),
    ]
