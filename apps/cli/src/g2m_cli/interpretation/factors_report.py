"""The page and the files of a phantom's driven factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.console import say
from g2m_cli.interpretation.factors import DrivenFactor, drive_factors, strip_of
from g2m_cli.interpretation.factors_page import CURVES, FACTORS, RANDOM, doses_section
from g2m_cli.interpretation.perturbation_page import strip_section
from g2m_cli.interpretation.redrawing import Models
from g2m_cli.interpretation.strip import FILE as STRIP
from g2m_cli.provenance import provenance
from g2m_cli.settings import RunSettings
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_interpret import InterpretationSettings


def factors_folder(study: Study) -> Path:
    """Where driven factors lie."""
    return study.root / "interpret" / "perturbations" / "factors"


def factors_record(study: Study, settings: RunSettings[InterpretationSettings], model: str) -> dict[str, Any]:
    """Describe what driving the factors of this study gives."""
    parents = {
        "dataset": dataset_id(study.dataset),
        "encoders": folder_id(study.run("encoders")),
        model: folder_id(study.run(model)),
    }
    asked = {"perturbation": asdict(settings.model.perturbation), "model": model, "seed": settings.seed}
    return provenance("factors", asked, parents)


def write_factors(
    study: Study, settings: RunSettings[InterpretationSettings], *, model: str
) -> tuple[Path, pd.DataFrame]:
    """Drive every factor of a phantom, and write the page, factors.csv, doses.csv, random.csv and the clearest strip.

    Parameters
    ----------
    study
        Whose truth, encoders and generator.
    settings
        What is used are ``perturbation`` and the seed.
    model
        Run of the generator.

    Returns
    -------
    The page, and a row a factor.

    Raises
    ------
    InputError
        If there is no truth or no such model, or no factor is drawn at any test spot.
    """
    from g2m_data import open_dataset
    from g2m_eval import write_report
    from g2m_eval.report.page import check_replaceable

    target, own = factors_folder(study), settings.model.perturbation
    check_replaceable(target, "factors")
    spots = open_dataset(study.dataset, split="test")
    models = Models.open(study, model)
    driven = drive_factors(study, spots, models, settings)
    table, curves, random = (make(driven) for make in (factors_table, curves_table, random_table))
    clearest = max(driven, key=lambda one: one.clear)
    warnings = [sentence for one in driven for sentence in one.warnings]
    for sentence in warnings:
        say(f"warning: {sentence}")
    strip = strip_of(clearest, spots, models, own, seed=settings.seed)
    write_report(
        target,
        title=f"Factors driven by their genes: {spots.manifest['study']}",
        lead=f"{len(driven)} factors; {model}; {own.spots} test spots at most x {own.seeds} seeds; counts "
        f"{'brought back to' if own.renormalise else 'not brought back to'} the library size",
        metrics={
            "perturbation": factors_metrics(table, model, clearest.factor.name, own.seeds)
            | {"unlike_training": {one.factor.name: list(one.warnings) for one in driven if one.warnings}}
        },
        warnings=warnings,
        sections=[doses_section(table, curves, random), strip_section(strip, clearest.factor.name.replace("_", " "))],
        provenance=factors_record(study, settings, model),
        files={
            FACTORS: lambda path: table.to_csv(path, index=False),
            CURVES: lambda path: curves.to_csv(path, index=False),
            RANDOM: lambda path: random.to_csv(path, index=False),
            STRIP: strip.save,
        },
    )
    return target / "report.html", table


def factors_table(driven: Sequence[DrivenFactor]) -> pd.DataFrame:
    """List the factors: what they are and how their statistic answered."""
    import pandas as pd

    rows = []
    for one in driven:
        factor = one.factor
        answer = one.response.summary.to_dict("index")[factor.statistic]
        rows.append(
            {
                "factor": factor.name,
                "statistic": factor.statistic,
                "sign": factor.sign,
                "regions": " ".join(factor.regions),
                "genes_up": len(factor.up),
                "genes_down": len(factor.down),
                "spots": len(one.rows),
                "dose_spearman": float(answer["spearman"]),
                "change": float(answer["change"]),
                "right_direction": bool(factor.sign * answer["change"] > 0),
                "beyond_random": float(answer["beyond_random"]),
                "random_sets": int(answer["random_sets"]),
            }
        )
    return pd.DataFrame(rows)


def curves_table(driven: Sequence[DrivenFactor]) -> pd.DataFrame:
    """List the mean of every factor's statistic at each dose, with its interval."""
    import pandas as pd

    parts = []
    for one in driven:
        curve = one.response.curve
        own = curve[curve["statistic"] == one.factor.statistic]
        parts.append(own.assign(factor=one.factor.name))
    return pd.concat(parts, ignore_index=True)


def random_table(driven: Sequence[DrivenFactor]) -> pd.DataFrame:
    """List what random sets changed, highest less lowest dose."""
    import pandas as pd

    parts = []
    for one in driven:
        column = list(one.response.summary.index).index(one.factor.statistic)
        changes = one.response.random[:, column]
        parts.append(
            pd.DataFrame({"factor": one.factor.name, "set": np.arange(1, len(changes) + 1), "change": changes})
        )
    return pd.concat(parts, ignore_index=True)


def factors_metrics(table: pd.DataFrame, model: str, shown: str, seeds: int) -> dict[str, Any]:
    """Give ``perturbation`` of metrics.json."""
    kept = ("statistic", "sign", "dose_spearman", "change", "right_direction", "beyond_random", "random_sets", "spots")
    return {
        "model": model,
        "shown": shown,
        "factors": {
            row["factor"]: {**{key: row[key] for key in kept}, "seeds": seeds} for row in table.to_dict("records")
        },
    }
