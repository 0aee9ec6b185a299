"""Gene sets that belong to a study: a copy in its dataset, of the file that the manifest names."""

import shutil
from pathlib import Path

from g2m_data.atomic import temporary_sibling
from g2m_data.manifest import Manifest

FOLDER = "gene_sets"


def copy_gene_sets(study: Manifest, dataset: Path) -> None:
    """Make a dataset's gene sets those that the manifest names now; the dataset's id does not depend on them.

    Parameters
    ----------
    study
        Whose ``study.gene_sets``; without it, a copy that is there goes.
    dataset
        Folder of the dataset, built or being built.

    Raises
    ------
    InputError
        If there is no space or no permission.
    """
    source, target = study.gene_sets_file, dataset / FOLDER
    if source is None:
        shutil.rmtree(target, ignore_errors=True)
        return
    content = source.read_bytes()
    if target.is_dir() and [(file.name, file.read_bytes()) for file in target.iterdir()] == [(source.name, content)]:
        return
    with temporary_sibling(target, "the dataset keeps the gene sets it had") as building:
        building.mkdir()
        (building / source.name).write_bytes(content)


def gene_sets_of(dataset: Path) -> Path | None:
    """Give a dataset's GMT file: that of its manifest, else a phantom's own; None where there is neither."""
    own = sorted(path for path in (dataset / FOLDER).glob("*") if path.is_file())
    phantom = dataset / "truth" / "gene_sets.gmt"
    return own[0] if own else phantom if phantom.is_file() else None
