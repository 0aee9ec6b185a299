"""A reader study of a study's test spots: choose images, score answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2m_cli.evaluation.scoring import TestSpots, load_test_spots
from g2m_cli.generation import open_images
from g2m_cli.models import label_of
from g2m_cli.provenance import provenance
from g2m_cli.study import Study, dataset_id, folder_id

if TYPE_CHECKING:
    import pandas as pd

    from g2m_eval.reader_study.score import ReaderScores


def create_reader_study(
    study: Study, model: str, *, images: int, readers: int, clusters: int, seed: int, out: Path
) -> Path:
    """Choose real and generated patches of test spots, and write the folder to serve.

    Spots are grouped by what their real patches look like (k-means of image statistics); a generated patch belongs to
    the group of the spot whose expression drew it. Real and generated patches are drawn evenly over the groups, and
    no spot gives both.

    Parameters
    ----------
    study
        Whose dataset and generated images.
    model
        Name below ``generated/``.
    images, readers
        Images in all, and private links.
    clusters
        Groups of spots.
    seed
        Of groups and choice.
    out
        Folder to write.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError
        There are no such images, or too few; the folder exists.
    """
    import pandas as pd

    from g2m_eval.reader_study.create import Candidates, check_new_folder, create_study, morphological_clusters

    check_new_folder(out)
    folder = study.generated(model)
    drawn = open_images(folder)
    index = pd.read_parquet(folder / "index.parquet").drop_duplicates("prompt")  # one image a spot
    spots = load_test_spots(study.dataset)
    rows = spots.find(index["prompt"], folder)
    groups = morphological_clusters(_statistics(spots), min(clusters, len(spots)), seed=seed).astype(str)
    names = spots.obs.index.to_numpy().astype(str)
    widths = set(spots.patch_um)
    settings = {"model": model, "images": images, "readers": readers, "clusters": clusters, "seed": seed}
    parents = {"dataset": dataset_id(study.dataset), f"generated/{model}": folder_id(folder)}
    return create_study(
        out,
        real=Candidates(images=spots.patches, groups=groups.tolist(), spots=names.tolist()),
        generated=Candidates(
            images=np.asarray(drawn.oindex[index.index.to_numpy()]),
            groups=groups[rows].tolist(),
            spots=names[rows].tolist(),
        ),
        model=label_of(model),
        n_images=images,
        readers=readers,
        seed=seed,
        width_um=widths.pop() if len(widths) == 1 else None,
        provenance=provenance("reader-study", settings, parents),
    )


def reader_links(folder: Path, address: str) -> Mapping[str, str]:
    """Give each reader's private link below the server's address."""
    from g2m_eval.reader_study.layout import open_study

    return {reader: f"{address.rstrip('/')}/r/{token}" for token, reader in open_study(folder).tokens.items()}


def report_readers(folder: Path, out: Path, *, unfinished: bool, seed: int) -> ReaderScores:
    """Score the answers given so far, and write report.html, metrics.json, figures and tables.

    Parameters
    ----------
    folder
        The reader study.
    out
        Folder to write; an older report there is replaced. It shows which images are real.
    unfinished
        Count readers who have answered at least half of the images, not every one.
    seed
        Of the bootstrap.
    """
    from g2m_eval import write_report
    from g2m_eval.reader_study.layout import open_study, read_key
    from g2m_eval.reader_study.score import score_study
    from g2m_eval.report.published import READER_SCORES
    from g2m_eval.report.reader_study import reader_section, reader_tiles, reader_warnings

    scores = score_study(folder, unfinished=unfinished, seed=seed)
    created: dict[str, Any] = read_key(folder)["provenance"]
    record = provenance("reader-scores", {"unfinished": unfinished, "seed": seed}, {"reader-study": created.get("id")})
    write_report(
        out,
        title=f"Reader study: {open_study(folder).title}",
        lead=f"{len(scores.readers)} readers, {len(scores.images)} images, half of them by {scores.model}",
        metrics={"id": record["id"], "reader_study": scores.metrics, "seed": seed},
        sections=[reader_section(scores, folder, published=READER_SCORES)],
        summary=reader_tiles(scores),
        warnings=reader_warnings(scores),
        provenance={"scores": record, "study": created},
        files={"images.csv": lambda path: scores.images.to_csv(path, index=False)},
    )
    return scores


def _statistics(spots: TestSpots) -> pd.DataFrame:
    """Image statistics of the real patches, each section at its own scale."""
    import pandas as pd

    from g2m_eval import image_statistics

    parts = []
    for sample in np.unique(spots.samples):
        rows = np.flatnonzero(spots.samples == sample)
        width_um = float(spots.dataset.manifest["samples"][str(sample)]["patch_um"])
        part = image_statistics(spots.patches[rows], width_um / spots.patches.shape[2])
        parts.append(part.set_index(rows))
    return pd.concat(parts).sort_index()
