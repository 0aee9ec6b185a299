"""Table 1 of a report: every generator beside the others, and beside real patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from g2m_eval.report.page import ReportSection, ReportTable

SIGNIFICANT = 0.01
"""Largest p of a factor that counts as followed."""


def compare_generators(models: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Give one row a generator, and one of real patches for every number of images that occurs.

    Parameters
    ----------
    models
        By label, the entries ``models.<name>`` of ``metrics.json``, in the order to show.

    Returns
    -------
    Columns: generator, N images, px, Fréchet distance, of real training patches at the same N, kernel distance, region
    accuracy, factors followed, seconds per 1,000 images. The last rows are real patches: training patches in the
    distance, test patches in the rest; what was not measured is NaN or None.
    """
    rows = [
        {
            "generator": label,
            "N images": metrics["n"]["generated"],
            "px": metrics["resolution"],
            "Fréchet distance": metrics["frechet_generated_vs_test"],
            "same N, real training patches": metrics["frechet_train_vs_test"],
            "kernel distance": metrics["kernel_generated_vs_test"],
            "region accuracy": metrics.get("region_accuracy", np.nan),
            "factors followed": _of_all(metrics.get("factors", {}), count_followed(metrics.get("factors", {}))),
            "seconds per 1,000 images": _number(metrics.get("seconds_per_1000_images")),
        }
        for label, metrics in models.items()
    ]
    sizes = {(metrics["n"]["train"], metrics["resolution"]): metrics for metrics in reversed(list(models.values()))}
    rows += [
        {
            "generator": "real patches",
            "N images": count,
            "px": resolution,
            "Fréchet distance": metrics["frechet_train_vs_test"],
            "same N, real training patches": metrics["frechet_train_vs_test"],
            "kernel distance": np.nan,
            "region accuracy": metrics.get("region_accuracy_real", np.nan),
            "factors followed": _of_all(metrics.get("factors", {}), _count_real(metrics.get("factors", {}))),
            "seconds per 1,000 images": np.nan,
        }
        for (count, resolution), metrics in sorted(sizes.items(), reverse=True)
    ]
    return pd.DataFrame(rows)


def comparison_section(models: Mapping[str, Mapping[str, Any]]) -> ReportSection:
    """Show Table 1; its caption says what may be compared with what."""
    table = compare_generators(models)
    extractors = " and ".join(dict.fromkeys(metrics["extractor"] for metrics in models.values()))
    caption = (
        f"Table 1. Distances to the real patches of the same test spots, by {extractors}; lower is closer. "
        "A Fréchet distance depends on the number of images, so each stands beside that of as many real training "
        "patches, or of all where there are fewer. Region accuracy is balanced; a factor is followed within regions, "
        f"with the sign of real patches and p < {SIGNIFICANT:g}. The rows of real patches: training patches in the "
        "distance, the test patches themselves in accuracy and factors. Seconds: drawing alone, on the device that "
        "provenance.json of the images names."
    )
    if table["N images"].nunique() > 1:
        caption += (
            " The rows have different numbers of images: hold each Fréchet distance against the real one of its own "
            "row, not against another row's. A factor's p depends on that number too: with fewer images fewer count as "
            "followed at the same correlation."
        )
    if table["px"].nunique() > 1:
        caption += " Images of different sizes were brought to the smallest before the network saw them."
    return ReportSection(
        title="The generators side by side", tables=[ReportTable(table=table, caption=caption, name="table1")]
    )


def follows(factor: Mapping[str, Any]) -> bool:
    """Whether generated patches follow a factor: the sign of real patches, and p < 0.01."""
    generated, real, p = (factor[key] for key in ("within_region_generated", "within_region_real", "p"))
    known = all(value is not None and np.isfinite(value) for value in (generated, real, p))
    return bool(known and generated * real > 0 and p < SIGNIFICANT)


def count_followed(factors: Mapping[str, Mapping[str, Any]]) -> int:
    """How many factors generated patches follow."""
    return sum(follows(factor) for factor in factors.values())


def _count_real(factors: Mapping[str, Mapping[str, Any]]) -> int:
    """How many factors real patches show with the sign they should have: the ceiling of the measurement."""
    shown = 0
    for factor in factors.values():
        rho, p = factor["within_region_real"], factor["p_real"]
        known = all(value is not None and np.isfinite(value) for value in (rho, p))
        shown += bool(known and rho * factor["sign"] > 0 and p < SIGNIFICANT)
    return shown


def _of_all(factors: Mapping[str, Any], count: int) -> str | None:
    return f"{count} of {len(factors)}" if factors else None


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
