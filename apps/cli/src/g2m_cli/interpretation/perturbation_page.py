"""What the page of a perturbation shows: the strip of pictures, what changed, and curves of doses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2m_cli.interpretation.perturbation_request import PerturbationRequest

if TYPE_CHECKING:
    from g2m_cli.interpretation.perturbation import PerturbedTissue
    from g2m_eval import ReportSection
    from g2m_interpret import DoseResponse, PerturbationSettings

_BARCODE = 9
_SHOWN = ("edit", "statistic", "before", "after", "change", "low", "high", "change_sd", "beyond_random", "familiar")


def perturbation_sections(
    found: PerturbedTissue, request: PerturbationRequest, settings: PerturbationSettings
) -> list[ReportSection]:
    """Chapters of the page."""
    sections = [_pictures(found, request), _changes(found, request, settings)]
    return sections if found.doses is None else [*sections, _doses(found.doses, request)]


def _pictures(found: PerturbedTissue, request: PerturbationRequest) -> ReportSection:
    from g2m_eval import ReportFigure, ReportSection
    from g2m_interpret import figure_perturbation

    labels = [_short(name) for name in found.pictured]
    figure = figure_perturbation(
        found.real, found.unperturbed, found.perturbed, labels, found.edits, title=request.label
    )
    caption = (
        "Real patch, what the model draws from the spot's expression, and what it draws from the edited expression "
        "with the same noise; last, how much lighter or darker the last edit made each pixel."
    )
    return ReportSection(
        title="The same spots, redrawn",
        text="An edit shows what the model has learned to draw from these genes, not what tissue would do.",
        figures=[ReportFigure(name="strip", figure=figure, caption=caption)],
    )


def _changes(found: PerturbedTissue, request: PerturbationRequest, settings: PerturbationSettings) -> ReportSection:
    from g2m_eval import ReportSection, ReportTable

    random = (
        f" beyond_random: share of {settings.random_sets} random sets, each gene matched in mean expression and edited "
        "alike, whose change is smaller either way."
        if request.folds
        else ""
    )
    caption = (
        "Mean of image statistics before and after, of the same spots and noise; low and high: 95 % bootstrap over "
        "spots and noise of the change; change_sd: in standard deviations of the unedited images; familiar: share of "
        f"edited profiles like those of training and of these sections.{random} changes.csv says more."
    )
    shown = [column for column in _SHOWN if column in found.changes]
    return ReportSection(title="What changed", tables=[ReportTable(table=found.changes[shown], caption=caption)])


def _doses(response: DoseResponse, request: PerturbationRequest) -> ReportSection:
    from g2m_eval import ReportFigure, ReportSection, ReportTable
    from g2m_interpret import figure_doses

    figure = figure_doses([(_title(name), name, response) for name in response.summary.index])
    return ReportSection(
        title="Doses",
        figures=[
            ReportFigure(
                name="doses",
                figure=figure,
                caption=f"Image statistics as the counts of {request.label} are multiplied by each dose; bands: 95 % "
                "bootstrap over spots and noise; grey: what random sets expressed alike change from the lowest to the "
                "highest dose. ρ: Spearman's, of the mean and the dose.",
            )
        ],
        tables=[
            ReportTable(
                table=response.summary.reset_index(),
                name="responses",
                caption="change: highest dose less lowest; beyond_random: share of random sets whose change is smaller "
                "either way.",
            ),
            ReportTable(table=response.curve, name="doses", caption="Means at each dose, with 95 % intervals."),
        ],
    )


def _title(statistic: str) -> str:
    return statistic.split("_")[0].capitalize()


def _short(name: str) -> str:
    sample, _, barcode = name.rpartition(":")
    return f"{sample}\n{barcode[:_BARCODE]}"
