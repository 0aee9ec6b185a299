"""What the page of a screen shows: predicted against verified, the strongest, and the same spots redrawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from g2m_cli.interpretation.perturbation_page import strip_section
from g2m_cli.interpretation.screen_metrics import strongest
from g2m_cli.interpretation.screen_request import ScreenRequest
from g2m_cli.interpretation.strip import Strip

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval import ReportSection

_LISTED = 40
_COLUMNS = (
    "rank", "predicted", "change", "low", "high", "change_sd", "same_sign", "beyond_random", "familiar", "true_effect",
)  # fmt: skip


def screen_sections(
    table: pd.DataFrame, metrics: Mapping[str, Any], request: ScreenRequest, strip: Strip
) -> list[ReportSection]:
    """Chapters of the page.

    Parameters
    ----------
    table
        Of `screen_table`; on a phantom with ``true_effect``.
    metrics
        ``screen.*``.
    request
        What was asked.
    strip
        Pictures with the strongest edits.
    """
    label = f"The strongest of {metrics['verified']} {request.what}s"
    return [_verified(table, metrics, request), _strongest(table, request, metrics), strip_section(strip, label)]


def _verified(table: pd.DataFrame, metrics: Mapping[str, Any], request: ScreenRequest) -> ReportSection:
    from g2m_eval import ReportFigure, ReportSection
    from g2m_interpret import figure_screen

    own = list(table.loc[table["true_effect"].notna(), "gene"]) if "true_effect" in table else []
    figure = figure_screen(table, request.statistic, known=own, known_as="the factor's own genes")
    grey = "grey: random genes, expressed alike. " if request.sets is None and metrics["controls"] else ""
    caption = (
        f"Left: the change of {request.statistic} that the gradient predicts, and the change when redrawn from the "
        f"same noise with its 95 % interval over spots and noise. {grey}Right: the strongest of those redrawn"
        + ("; orange: genes that drive it in the phantom." if own else ".")
    )
    beyond = (
        f", {metrics['beyond_random']} of them beyond 95 % of random {request.what}s" if metrics["controls"] else ""
    )
    text = (
        f"The gradient of a differentiable surrogate ranks all {metrics['ranked']:,} {request.what}s; the first are "
        f"redrawn and measured. Of {metrics['verified']}, {metrics['same_sign']:.0%} change the way it predicts; "
        f"{metrics['interval_excludes_0']} have an interval that excludes 0{beyond}. "
        f"The surrogate follows the statistic with a Spearman correlation of "
        f"{metrics['surrogate_agreement']:.2f} over these images."
    )
    return ReportSection(
        title="Predicted and verified",
        text=text,
        figures=[ReportFigure(name="screen", figure=figure, caption=caption)],
    )


def _strongest(table: pd.DataFrame, request: ScreenRequest, metrics: Mapping[str, Any]) -> ReportSection:
    from g2m_eval import ReportSection, ReportTable

    random = (
        f"{metrics['controls']} random genes that were not screened, matched in mean expression to those redrawn,"
        if request.sets is None
        else "random sets of its size, each gene matched in mean expression,"
    )
    beyond = f"beyond_random: share of {random} whose change is smaller either way; " if metrics["controls"] else ""
    order = strongest(table)
    shown = [str(table.columns[0]), *(name for name in _COLUMNS if name in order and order[name].notna().any())]
    caption = (
        f"The {min(_LISTED, len(order))} of largest verified change; screen.csv has all {metrics['ranked']:,}. rank, "
        "predicted: by the gradient; change, low, high: redrawn, 95 % bootstrap over spots and noise; change_sd: in "
        f"standard deviations of the unedited images; same_sign: 1 where both agree; {beyond}"
        "familiar: share of edited profiles like those of training "
        "and of these sections."
    )
    if "true_effect" in shown:
        caption += " true_effect: the phantom's own, positive where more of the gene makes more."
    return ReportSection(title="The strongest", tables=[ReportTable(table=order[shown].head(_LISTED), caption=caption)])
