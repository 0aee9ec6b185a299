"""The paper's Figure C.1: what slides differ by in hue and stain, and where generated patches lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy
from g2m_cli.evaluation.paper_quality import current_entries
from g2m_cli.generation import read_generated
from g2m_cli.models import label_of

if TYPE_CHECKING:
    from g2m_data import PairedDataset

_COLUMNS = 10


def colours(paper: PaperStudy, item: PaperItem) -> Built:
    """Figure C.1: real patches of the training sections on top, of each test section below, generated ones last."""
    from g2m_data import open_dataset
    from g2m_eval import ReportFigure
    from g2m_eval.figures.patches import figure_rows

    seed = paper.settings.seed
    train = open_dataset(paper.study.dataset, split="train")
    rows = {
        **{f"{name}\ntraining": patches for name, patches in of_each_section(train, seed).items()},
        **{f"{name}\ntest": patches for name, patches in of_each_section(paper.spots.dataset, seed).items()},
    }
    for name in paper.models:
        images, _, _ = read_generated(paper.study.generated(name))
        rows[f"generated,\n{label_of(name)}"] = images[drawn(len(images), seed)]
    caption = (
        f"Real patches of the training and of each test section, and below them patches generated for test spots: "
        f"{_COLUMNS} a row, drawn at random (seed {seed}), none chosen by eye."
    )
    shifts = current_entries(paper, paper.study.report, "metrics.json", "stain")
    text = (
        "The paper remarks on this figure that generated patches resemble the training slide in hue and quality more "
        "than the test slides, since stain and preparation are not modelled; it gives no number. "
    )
    positions = {name: entry["stain"]["position"] for name, entry in shifts.items()}
    known = {name: position for name, position in positions.items() if position["value"] is not None}
    if known:
        text += "Ours is measured: on the line in colour from the test sections (0) to the training section (1) lie "
        text += ", ".join(
            f"{label_of(name)} at {p['value']:.2f} ({p['low']:.2f} to {p['high']:.2f})" for name, p in known.items()
        )
        text += "."
    else:
        text += f"`g2m eval report {paper.study.root}` measures ours, where the slides differ enough to tell."
    figure = figure_rows(rows, patch_um=paper.spots.patch_um[0])
    return Built(
        text=text,
        figures=[ReportFigure(name="slides-and-colours", figure=figure, caption=caption, number=item.number)],
        metrics={"ours": positions},
    )


def of_each_section(dataset: PairedDataset, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Draw some patches of each section."""
    samples = dataset.obs["sample"].to_numpy().astype(str)
    found = {}
    for name in dict.fromkeys(samples.tolist()):
        here = np.flatnonzero(samples == name)
        found[name] = dataset.patches(here[drawn(len(here), seed)])
    return found


def drawn(total: int, seed: int) -> NDArray[np.int64]:
    """Draw as many of all rows as there are columns."""
    return np.sort(np.random.default_rng(seed).permutation(total)[:_COLUMNS])
