"""The paper's Table 1: distances of a study's generators beside the published FID and KID."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy, records_of, table_of
from g2m_cli.models import family_of, label_of
from g2m_cli.provenance import read_provenance
from g2m_cli.study import Study, embeddings_id, folder_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval.report.comparison import ProtocolRows

_PUBLISHED = (
    "Published: FID and KID by Inception-v3 over 36,528 images, four for each of 9,132 spots of five real test "
    "sections (the paper's code compares with random tissue patches of the training slide); RNA-GAN and MorphoDiff as "
    "the paper gives them for comparison, N not known."
)


def quality(paper: PaperStudy, item: PaperItem) -> Built:
    """Table 1: a row a generator, published values to the left, this study's protocols to the right."""
    from g2m_eval.report.comparison import compare_generators, group_by_protocol
    from g2m_eval.report.published import published_quality

    published = published_quality()
    scores = scores_of(paper)
    groups = group_by_protocol({label_of(name): entry for name, entry in scores.items()})
    if not groups:
        text = (
            f"Ours is missing: `g2m eval images {paper.study.root}` computes FID and KID where Inception is at hand, "
            f"`g2m eval report {paper.study.root}` distances by a network of the study's own."
        )
        table = published.drop(columns="model")
        return Built(
            text=text, tables=[table_of(item, table, _PUBLISHED)], metrics={"published": records_of(published)}
        )
    ours = compare_generators({label_of(name): entry for name, entry in scores.items()})
    legend = " ".join(f"{group.letter}: {group.protocol}." for group in groups)
    caption = (
        f"{_PUBLISHED} Ours: each lettered column is one protocol, and only numbers of one column may be compared. "
        f"{legend} In brackets the 95 % interval over spots of a Fréchet distance, the standard deviation over subsets "
        "of a kernel distance; a dash where there is no such number."
    )
    text = what_is_comparable(groups)
    absent = [label_of(name) for name in paper.models if name not in scores]
    if absent:
        text += f" Not scored, or drawn anew since: {', '.join(absent)}."
    table = beside(published, ours.drop(columns="seconds per 1,000 images"), {label_of(n): n for n in scores})
    return Built(
        text=text,
        tables=[table_of(item, table, caption)],
        metrics={
            "published": records_of(published),
            "ours": {name: entry["distances"] for name, entry in scores.items()},
        },
    )


def scores_of(paper: PaperStudy) -> dict[str, dict[str, Any]]:
    """Read what `g2m eval images`, or else the study's report, found out about the models as they are now.

    Returns
    -------
    By model's name, its entry of ``models``; where model, embeddings or images have changed since, there is none.
    """
    of_report = current_entries(paper, paper.study.report, "metrics.json", "distances")
    of_images = current_entries(paper, paper.study.root / "images", "images.json", "distances")
    found = {**of_report, **of_images}
    return {name: found[name] for name in paper.models if name in found}


def current_entries(paper: PaperStudy, folder: Path, file: str, key: str) -> dict[str, dict[str, Any]]:
    """Read the entries ``models.<name>`` that have a ``key`` and are of the models and images as they are now."""
    scored = (read_provenance(folder) or {}).get("parents", {})
    current = [name for name in paper.models if any(_is_current(paper.study, name, *pair) for pair in scored.items())]
    try:
        models = json.loads((folder / file).read_text())["models"] if current else {}
    except (OSError, ValueError, KeyError):  # its provenance is there, its numbers are not
        models = {}
    return {name: models[name] for name in current if key in models.get(name, {})}


def _is_current(study: Study, name: str, parent: str, number: str) -> bool:
    """Whether what was scored are a model's images, one or several a spot, and those it draws now."""
    images = re.fullmatch(rf"generated/({re.escape(name)}(-x\d+(-n\d+)?)?)", parent)
    record = read_provenance(study.generated(images[1])) if images else None
    now = {"model": folder_id(study.run(family_of(name))), "embeddings": embeddings_id(study.embeddings)}
    return record is not None and record["id"] == number and record["parents"] == now


def what_is_comparable(groups: list[ProtocolRows]) -> str:
    """Say whether ours and the published values have a unit in common."""
    from g2m_eval.report.published import PUBLISHED_IMAGES

    of_inception = [group.protocol for group in groups if group.protocol.inception]
    if not of_inception:
        return (
            "Not comparable across: the published columns are Inception's, ours are of other networks, on other "
            "sections and other numbers of images. They have no common unit, and none of ours is a FID or KID. Compare "
            "within a column; the row of real patches is what a generator of real tissue would score there."
        )
    counts = sorted({protocol.n_generated for protocol in of_inception})
    sizes = " and ".join(f"{count:,}" for count in counts)
    text = (
        "Our columns called FID and KID are of the same network and the same definitions as the published ones, and "
        "in that alone comparable: the sections, the reference patches and the size of the images are this study's. "
    )
    if counts == [PUBLISHED_IMAGES]:
        return f"{text}The number of images, {sizes}, is the paper's."
    return (
        f"{text}The number of images is {sizes} here and {PUBLISHED_IMAGES:,} there, and FID falls as it grows: hold "
        "ours against the row of real patches in its own column first."
    )


def beside(published: pd.DataFrame, ours: pd.DataFrame, models: Mapping[str, str]) -> pd.DataFrame:
    """Join by generator: this study's rows first, then what only the paper has.

    Parameters
    ----------
    published
        Columns generator, model, and published values.
    ours
        Column generator and ours, as text.
    models
        Of the generators' labels, the names that ``published`` calls model.
    """
    import pandas as pd

    named = ours.assign(model=ours["generator"].map(models))
    both = named.merge(published.drop(columns="generator").dropna(subset="model"), on="model", how="left")
    alone = published[~published["model"].isin(set(models.values()))]
    alone = alone.assign(generator=alone["generator"] + " (paper)")
    first = [name for name in published.columns if name != "model"]
    last = [name for name in ours.columns if name != "generator"]
    return pd.concat([both, alone], ignore_index=True)[[*first, *last]]
