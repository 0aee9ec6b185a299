"""What driving a phantom's factors shows: dose curves and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval import ReportSection

FACTORS, CURVES, RANDOM = "factors.csv", "doses.csv", "random.csv"


def doses_section(table: pd.DataFrame, curves: pd.DataFrame, random: pd.DataFrame) -> ReportSection:
    """Show the dose curves of all factors, as factors.csv, doses.csv and random.csv have them."""
    from g2m_eval import ReportFigure, ReportSection, ReportTable
    from g2m_interpret import DoseResponse, figure_doses

    responses = []
    for row in table.to_dict("records"):
        name, statistic = str(row["factor"]), str(row["statistic"])
        summary = table[table["factor"] == name].rename(columns={"dose_spearman": "spearman"}).set_index("statistic")
        response = DoseResponse(
            curve=curves[curves["factor"] == name],
            summary=summary[["spearman", "change", "beyond_random", "random_sets"]],
            random=random.loc[random["factor"] == name, ["change"]].to_numpy(float),
        )
        responses.append((name, statistic, response))
    sets = int(table["random_sets"].max())
    caption = (
        "For each factor of the phantom, the mean of the image statistic that sees it, as the counts of the genes that "
        "rise with it are multiplied by each dose and the counts of those that fall are divided by it; everything else "
        "in the spot's expression, and the noise, stay. Bands: 95 % bootstrap over spots and noise. Grey: what each of "
        f"{sets} random sets of genes, expressed alike and driven alike, changes from the lowest to the highest dose. "
        "ρ: Spearman's correlation of mean and dose."
    )
    return ReportSection(
        title="Doses",
        text="If the generator has understood what a set of genes stands for, more of them must draw more of it, and "
        "other genes must not.",
        figures=[ReportFigure(name="doses", figure=figure_doses(responses), caption=caption)],
        tables=[
            ReportTable(
                table=table.drop(columns="regions"),
                caption="sign: of the statistic when the factor rises; change: highest less lowest dose; "
                "beyond_random: share of random sets whose change is smaller either way.",
            )
        ],
    )
