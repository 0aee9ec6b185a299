"""What the page of a perturbation shows: the strip of pictures, what changed, and curves of doses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2m_cli.interpretation.perturbation_request import PerturbationRequest
from g2m_cli.interpretation.strip import Strip

if TYPE_CHECKING:
    import pandas as pd

    from g2m_cli.interpretation.perturbation import PerturbedTissue
    from g2m_eval import ReportSection
    from g2m_interpret import DoseResponse, PerturbationSettings

CHANGES = "changes.csv"
_BARCODE = 9
_SHOWN = ("edit", "statistic", "before", "after", "change", "low", "high", "change_sd", "beyond_random", "familiar")


def perturbation_sections(
    found: PerturbedTissue, request: PerturbationRequest, settings: PerturbationSettings
) -> list[ReportSection]:
    """Chapters of the page."""
    sections = [
        strip_section(found.strip, request.label),
        changes_section(found.changes, random_sets=settings.random_sets if request.folds else 0),
    ]
    return sections if found.doses is None else [*sections, _doses(found.doses, request)]


def strip_section(strip: Strip, label: str) -> ReportSection:
    """Show the strip of pictures; ``label`` says what was edited."""
    from g2m_eval import ReportFigure, ReportSection
    from g2m_interpret import figure_perturbation

    figure = figure_perturbation(
        strip.real,
        strip.unperturbed,
        strip.perturbed,
        [_short(str(name)) for name in strip.spots],
        [str(name) for name in strip.edits],
        title=label,
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


def changes_section(changes: pd.DataFrame, *, random_sets: int) -> ReportSection:
    """Show how the image statistics changed, as changes.csv has it."""
    from g2m_eval import ReportSection, ReportTable

    random = (
        f" beyond_random: share of {random_sets} random sets, each gene matched in mean expression and edited "
        "alike, whose change is smaller either way."
        if random_sets
        else ""
    )
    caption = (
        "Mean of image statistics before and after, of the same spots and noise; low and high: 95 % bootstrap over "
        "spots and noise of the change; change_sd: in standard deviations of the unedited images; familiar: share of "
        f"edited profiles like those of training and of these sections.{random} changes.csv says more."
    )
    shown = [column for column in _SHOWN if column in changes]
    return ReportSection(title="What changed", tables=[ReportTable(table=changes[shown], caption=caption)])


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
