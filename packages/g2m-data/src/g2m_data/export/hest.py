"""Patches in the layout of HEST's `patches/<id>.h5`."""

import shutil
from pathlib import Path

import h5py
import numpy as np

from g2m_data.errors import InputError
from g2m_data.export.section import ExportedSection
from g2m_data.hdf5_file import create_hdf5
from g2m_data.progress import Track

MEANING = {
    "coords": "top-left corner (x, y) = (column, row) of the patch, full-resolution pixels, rounded",
    "centre": "coords + patch_size_src / 2 - 0.5 (integers are pixel centres) is the centre of the patch, and that "
    "of its spot, what obsm['spatial'] of the section's AnnData holds, "
    "to half a pixel of the patch and half one of the slide",
}


def write_hest(section: ExportedSection, path: Path, *, track: Track) -> None:
    """Write `img` (uint8, n x px x px x 3), `coords` (int64, n x 2) and `barcode` (n x 1), as HEST's patches have them.

    `coords` are the patches' **top-left** corners, as in HEST, whereas the coordinates of an AnnData are centres; the
    attributes of `coords` and of the file say both. `barcode` has the names of the `.h5ad` export's `obs`.

    Parameters
    ----------
    section
        What to write.
    path
        A file that does not exist.
    track
        Shows progress over blocks of patches.

    Raises
    ------
    InputError
        If the disk has no space for them: they are not compressed, as HEST's are not.
    """
    n, px = len(section), section.dataset.patch_px
    needed, free = n * px * px * 3, shutil.disk_usage(path.parent).free
    if needed > free:
        raise InputError(
            f"{path.parent}: the {n:,} patches take {needed / 1e9:.2f} GB, of which {free / 1e9:.2f} GB are free; "
            "nothing was written"
        )
    corners = section.dataset.corners[section.rows][:, ::-1] / section.scale  # edges of full-resolution pixels
    with create_hdf5(path) as (file, check):
        # a patch a chunk, not compressed: readers fetch single patches in any order
        img = file.create_dataset("img", shape=(n, px, px, 3), dtype=np.uint8, chunks=(1, px, px, 3))
        coords = file.create_dataset("coords", data=np.rint(corners).astype(np.int64))
        names = section.dataset.obs.index[section.rows].to_numpy(dtype=object)[:, None]
        file.create_dataset("barcode", data=names, dtype=h5py.string_dtype())
        facts = {
            "patch_size": px,
            "patch_size_src": section.width_px,
            "pixel_size": section.entry["patch_um"] / px,
            "pixel_size_src": section.mpp,
        }
        img.attrs.update(facts | {"stain": section.dataset.manifest["patch"]["stain"]})
        coords.attrs.update(facts | MEANING)
        file.attrs.update(facts | {"name": section.sample, "dataset": section.dataset.manifest["id"]})
        file.attrs.update({f"coords_{meaning}": text for meaning, text in MEANING.items()})
        done = 0
        for block in track(section.blocks(), description=f"{section.sample}: patches", total=section.n_blocks):
            img[done : done + len(block)] = section.dataset.patches(block)
            done += len(block)
            check()
