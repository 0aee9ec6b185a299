"""Table 1 of a report: every generator beside the others and beside real patches, protocol by protocol."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from g2m_eval.distances.protocol import TEST_SPOTS, DistanceProtocol
from g2m_eval.report.page import ReportSection, ReportTable

SIGNIFICANT = 0.01
"""Largest p of a factor that counts as followed."""
REAL = "real training patches"
_ABSENT = "–"


@dataclass(frozen=True, kw_only=True)
class ProtocolRows:
    """What is comparable: the numbers of one protocol.

    Attributes
    ----------
    letter
        Its name in the table's columns.
    protocol
        What all the numbers share.
    rows
        By generator, or real patches, what ``models.<name>.distances`` holds of it, and beside distances to the test
        spots ``region_accuracy`` and ``factors`` on these same images.
    """

    letter: str
    protocol: DistanceProtocol
    rows: Mapping[str, Mapping[str, Any]]


def group_by_protocol(models: Mapping[str, Mapping[str, Any]]) -> list[ProtocolRows]:
    """Sort numbers into protocols, those that most generators share first, then those of most images.

    Parameters
    ----------
    models
        By label, the entries ``models.<name>`` of ``metrics.json``, in the order to show.
    """
    found: dict[DistanceProtocol, dict[str, Mapping[str, Any]]] = {}
    for label, entry in _with_real_patches(models):
        for distances in entry["distances"]:
            protocol = DistanceProtocol(**distances["protocol"])
            beside = {key: entry.get(key) for key in ("region_accuracy", "factors")}
            found.setdefault(protocol, {})[label] = {
                **distances,
                **(beside if protocol.reference == TEST_SPOTS else {}),
            }
    # real patches alone are no comparison
    shown = {protocol: rows for protocol, rows in found.items() if set(rows) - {REAL}}
    order = sorted(
        shown, key=lambda p: (-len(set(shown[p]) - {REAL}), -p.n_generated, p.reference != TEST_SPOTS, p.took_part)
    )
    return [
        ProtocolRows(
            letter=letter,
            protocol=protocol,
            rows={label: shown[protocol][label] for label in [*models, REAL] if label in shown[protocol]},
        )
        for letter, protocol in zip(_letters(), order, strict=False)
    ]


def compare_generators(models: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Give one row a generator and one of real patches; each column holds the numbers of one protocol.

    Parameters
    ----------
    models
        As of `group_by_protocol`.

    Returns
    -------
    Columns: generator, then for each protocol, by its letter, its Fréchet distance with 95 % interval and its kernel
    distance with standard deviation over subsets, as text; px generated; seconds per 1,000 images. What was not
    measured under a protocol is "–".
    """
    groups = group_by_protocol(models)
    rows = []
    for label in [*models, REAL]:
        row: dict[str, Any] = {"generator": label}
        for group in groups:
            numbers = group.rows.get(label)
            row[f"{group.letter}: {group.protocol.frechet_name}"] = _interval(numbers, "frechet")
            row[f"{group.letter}: {group.protocol.kernel_name} (SD)"] = _kernel(numbers)
        entry = models.get(label, {})
        row["px"] = str(entry["resolution"]) if "resolution" in entry else _ABSENT
        row["seconds per 1,000 images"] = _number(entry.get("seconds_per_1000_images"))
        rows.append(row)
    return pd.DataFrame(rows)


def protocol_table(group: ProtocolRows) -> pd.DataFrame:
    """Give every number of one protocol, a row a generator."""
    rows = []
    for label, numbers in group.rows.items():
        row: dict[str, Any] = {"generator": label}
        for name in ("frechet", "precision", "recall", "density", "coverage"):
            row[group.protocol.frechet_name if name == "frechet" else name] = _interval(numbers, name)
        if group.protocol.reference == TEST_SPOTS:
            row["region accuracy"] = _number(numbers.get("region_accuracy"))
            row["factors followed"] = numbers.get("factors")
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.dropna(axis=1, how="all")


def comparison_section(models: Mapping[str, Mapping[str, Any]]) -> ReportSection:
    """Show Table 1 and a table for each of its protocols; captions say what may be compared with what."""
    groups = group_by_protocol(models)
    legend = " ".join(f"{group.letter}: {group.protocol}." for group in groups)
    resizes = " ".join(dict.fromkeys(f"Resize: {group.protocol.resize}." for group in groups))
    statistics = " ".join(dict.fromkeys(f"{group.protocol.statistics}." for group in groups))
    caption = (
        "Table 1. Distances of generated patches to real ones; lower is closer. Each column is one protocol, and only "
        f"numbers of one column may be compared. {legend} {resizes} A dash: not measured under that protocol. In "
        "brackets: 95 % interval over spots of the Fréchet distance, standard deviation over subsets of the kernel "
        "distance, where sets are larger than a subset. Seconds: drawing alone, on the device that provenance.json of "
        "the images names."
    )
    if any(REAL in group.rows for group in groups):
        caption += (
            f" A network that was trained on patches of the same sections may have seen the {REAL}, and may find them "
            "a little further from the test spots than unseen ones."
        )
    if any(REAL not in group.rows for group in groups if group.protocol.reference == TEST_SPOTS):
        caption += (
            f" No row of {REAL} stands under a protocol where there are fewer of them than generated ones: a distance "
            "at another number of images would be no yardstick."
        )
    tables = [ReportTable(table=compare_generators(models), caption=caption, name="table1")]
    for group in groups:
        of_truth = (
            f" Region accuracy is balanced; a factor is followed within regions, with the sign of real patches and "
            f"p < {SIGNIFICANT:g}; of real patches both are of the test patches themselves."
            if any(numbers.get("factors") for numbers in group.rows.values())
            else ""
        )
        tables.append(
            ReportTable(
                table=protocol_table(group),
                caption=f"Protocol {group.letter}: {group.protocol}; reference {group.protocol.reference_hash}, seed "
                f"{group.protocol.seed}. 95 % intervals are over spots, at this number of images; those of the "
                "distances are too wide where images do not far outnumber the network's dimensions, and all too "
                "narrow where windows overlap (as HD windows may), since each counts as a spot of its own. "
                f"{statistics}" + of_truth,
                name=f"table1-{group.letter}",
            )
        )
    return ReportSection(title="The generators side by side", tables=tables)


def _with_real_patches(models: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Every set that was compared: of a generator all its images and those at common spots; real patches beside."""
    for label, metrics in models.items():
        for entry in (metrics, metrics.get("at_common_spots")):
            if not entry:
                continue
            factors = entry.get("factors") or {}
            yield (
                label,
                {
                    "distances": entry.get("distances", []),
                    "region_accuracy": entry.get("region_accuracy"),
                    "factors": _of_all(factors, count_followed(factors)),
                },
            )
            yield (
                REAL,
                {
                    "distances": entry.get("distances_real", []),
                    "region_accuracy": entry.get("region_accuracy_real"),
                    "factors": _of_all(factors, _count_real(factors)),
                },
            )


def _letters() -> Sequence[str]:
    alphabet = string.ascii_uppercase
    return [*alphabet, *(a + b for a in alphabet for b in alphabet)]


def _interval(numbers: Mapping[str, Any] | None, name: str) -> str:
    if numbers is None:
        return _ABSENT
    value, low, high = (_number(numbers[name][key]) for key in ("value", "low", "high"))
    return f"{value:.3g}" if np.isnan(low) else f"{value:.3g} ({low:.3g} to {high:.3g})"


def _kernel(numbers: Mapping[str, Any] | None) -> str:
    if numbers is None:
        return _ABSENT
    protocol = numbers["protocol"]
    # subsets as large as both sets are all the same one, and say nothing about how subsets differ
    whole = numbers["kernel_subset_size"] >= max(protocol["n_generated"], protocol["n_reference"])
    value = f"{numbers['kernel']['value']:.4f}"
    return f"{value} (whole sets)" if whole else f"{value} ({numbers['kernel_sd']:.4f})"


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
