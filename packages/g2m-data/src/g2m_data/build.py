"""From a study manifest to a dataset folder."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from g2m_data.atomic import temporary_sibling
from g2m_data.errors import InputError
from g2m_data.gene_sets import copy_gene_sets
from g2m_data.manifest import read_manifest
from g2m_data.panel import check_panel, choose_panel, hash_genes
from g2m_data.progress import Track, silent
from g2m_data.provenance import FORMAT, hash_inputs, input_files, make_id, resolve_settings, software
from g2m_data.section_workers import build_sections
from g2m_data.spaceranger.layout import find_layout
from g2m_data.spaceranger.matrix import read_features


def build_dataset(
    manifest: Path, out: Path, *, overwrite: bool = False, workers: int = 1, track: Track = silent
) -> None:
    """Build a paired dataset from a study manifest.

    Parameters
    ----------
    manifest
        TOML file.
    out
        Folder to create. It appears when it is complete and not before.
    overwrite
        Replace `out` if it is a dataset already.
    workers
        Sections built at the same time, each in a process of its own; 1 stays in this process. A whole slide of Visium
        HD in 10x HDF5 takes up to 6 GiB of memory, so that as many workers may take as many times that; counts of a
        matrix market folder are held in memory whole, which may take more.
    track
        Shows progress; signature of :func:`rich.progress.track`.

    Raises
    ------
    InputError
        For whatever is wrong with the manifest or the files it names; nothing is left behind.
    """
    study, out = read_manifest(Path(manifest)), Path(out)
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists already; remove it or choose another folder")
    if out.exists() and not (out / "dataset.json").is_file():
        raise InputError(f"{out}: exists and is not a dataset; choose another folder")

    layouts = {sample.id: find_layout(sample.spaceranger, sample.platform, sample.prefix) for sample in study.samples}
    listed = {layout.matrix: read_features(layout.matrix) for layout in layouts.values()}
    genes, panel_notes = choose_panel(study.gene_file, listed)
    if study.gene_file is not None:
        for matrix, features in listed.items():
            check_panel(genes, features.genes, study.gene_file, matrix)
    settings, inputs = resolve_settings(study), hash_inputs(input_files(study))
    with temporary_sibling(out, "nothing was built") as folder:
        (folder / "samples").mkdir(parents=True)
        (folder / "genes.txt").write_text("\n".join(genes) + "\n", encoding="utf-8")
        samples = build_sections(study, genes, folder, workers=workers, track=track)
        for entry in samples.values():
            entry["notes"] += panel_notes
        if study.truth_folder is not None:
            (folder / "truth").mkdir()
            for path in study.truth_folder.iterdir():
                if path.is_file():  # not what else lies there, which may be the dataset itself
                    shutil.copy2(path, folder / "truth")
        copy_gene_sets(study, folder)
        content = {
            "format": FORMAT,
            "id": make_id(settings, inputs),
            "study": study.study.name,
            "genes": len(genes),
            "gene_hash": hash_genes(genes),
            "view": study.view.settings,
            "patch": asdict(study.patch),
            "samples": samples,
            "provenance": {"settings": settings, "inputs": inputs, "versions": software()},
        }
        (folder / "dataset.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
