"""Where the files of a Space Ranger folder lie."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from g2m_data.errors import InputError
from g2m_data.spaceranger.gzipped import DAMAGE, open_plain
from g2m_data.spaceranger.matrix import matrix_files
from g2m_data.spaceranger.matrix_market import MATRIX
from g2m_data.spaceranger.positions import first_barcode, is_parquet
from g2m_data.units import BIN_UM

HD_BINS = Path("binned_outputs") / "square_002um"
CELLS = "segmented_outputs"
"""Space Ranger 4: counts of segmented cells, which are no bins."""
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
MATRICES = ("filtered_feature_bc_matrix", "raw_feature_bc_matrix")
"""Both give the same dataset, since `in_tissue` of the positions decides; the first is a fraction of the second."""
PROBES = "raw_probe_bc_matrix.h5"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The files of one section that g2m reads."""

    is_hd: bool
    """Whether these are bins of Visium HD rather than spots."""
    matrix: Path
    """10x HDF5, or the `matrix.mtx` of a matrix market folder."""
    positions: Path
    scalefactors: Path | None
    bin_um: float = BIN_UM
    """Width of a bin, µm; of no meaning for spots."""
    by_probe: bool = False
    """Whether the matrix lists probes, several a gene."""

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [*matrix_files(self.matrix), self.positions, *([] if self.scalefactors is None else [self.scalefactors])]


def find_layout(folder: Path, platform: str | None, prefix: str | None = None) -> Layout:
    """Find matrix, positions and scale factors in a Space Ranger folder.

    Parameters
    ----------
    folder
        `outs` or the folder that holds it; for Visium HD also `binned_outputs` or one of its folders of bins, of which
        the finest that holds a matrix is taken; or a flat folder of downloaded files. Everything may be gzip'd.
    platform
        What the manifest says.
    prefix
        What the names begin with (`Mouse_Kidney_filtered_feature_bc_matrix.h5`). Without it any prefix will do, as long
        as there is one only; a file with Space Ranger's own name comes before those with a prefix.

    Raises
    ------
    InputError
        If a file is missing, or several could be meant.
    """
    try:
        return _find_files(folder, platform, prefix)
    except OSError as error:  # a folder that may not be entered, a prefix that is too long
        raise InputError(f"{error.filename or folder}: {error.strerror or error}") from None


def _find_files(folder: Path, platform: str | None, prefix: str | None) -> Layout:
    root = _find_root(folder, prefix)
    spatial = _find(root, prefix, "spatial", folders=True) or root
    positions = _find_any(spatial, prefix, POSITIONS)
    if spatial == root and positions is None:
        raise InputError(f"{folder}: not a Space Ranger output folder: it has no 'spatial' folder{_hint(root, prefix)}")
    if positions is None:
        raise InputError(f"{spatial}: no {', '.join(POSITIONS[:-1])} or {POSITIONS[-1]} in it{_hint(root, prefix)}")
    bin_um = _bin_um(root, positions, platform)
    if platform is not None and (bin_um is not None) != (platform == "visium-hd"):
        found = "bins of Visium HD" if bin_um is not None else f"spots, no {HD_BINS}"
        raise InputError(f"{folder}: the manifest says platform {platform!r}, but the folder holds {found}")
    matrix = _find_matrix(root, prefix)
    return Layout(
        is_hd=bin_um is not None,
        matrix=matrix,
        positions=positions,
        scalefactors=_find_any(spatial, prefix, ["scalefactors_json.json"]),
        bin_um=bin_um or BIN_UM,
        by_probe=matrix.name.removesuffix(".gz").endswith(PROBES),
    )


def read_scalefactors(path: Path | None) -> dict[str, float]:
    """Read the numbers of `scalefactors_json.json`; empty where there is no such file."""
    if path is None:
        return {}
    try:
        with open_plain(path) as file:
            content: Any = json.loads(file.read().decode("utf-8"))
    except (*DAMAGE, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: cannot be read as JSON ({error}); copy it again from Space Ranger's output"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object of scale factors")
    numbers = {key: value for key, value in content.items() if type(value) in (int, float)}
    for key, value in numbers.items():
        if not -1e300 < value < 1e300:  # nor is it not-a-number, which JSON files do hold
            raise InputError(f"{path}: {key} is {value!r:.40}, no number; copy it again from Space Ranger's output")
    return {key: float(value) for key, value in numbers.items()}


def _find_root(folder: Path, prefix: str | None) -> Path:
    """The folder that matrix and `spatial` lie in."""
    if folder.name == CELLS:
        raise InputError(f"{folder}: holds cells, not bins; give the folder above it, with {HD_BINS.parent}")
    for place in (folder, folder / "outs"):
        binned = _find(place, prefix, HD_BINS.parent.name, folders=True) or place
        bins = [path for path in binned.glob("square_*um") if path.is_dir() and _bin_of(path)]
        if bins:
            # the matrix of the finest, by far the largest, may have been left out of a copy
            return min(bins, key=lambda path: (_is_without_matrix(path, prefix), _bin_of(path) or 0))
        if (place / "spatial").is_dir():
            return place
    return folder


def _is_without_matrix(root: Path, prefix: str | None) -> bool:
    """Whether a folder has no matrix, not even one that is still packed, of which a message tells."""
    return _matrix_in(root, prefix) is None and not any(root.glob("*.tar*"))


def _find_matrix(root: Path, prefix: str | None) -> Path:
    matrix = _matrix_in(root, prefix)
    if matrix is None:
        raise InputError(f"{root}: no {MATRICES[0]}.h5 in it, nor a folder of that name{_hint(root, prefix)}")
    return matrix


def _matrix_in(root: Path, prefix: str | None) -> Path | None:
    for name in MATRICES:
        matrix = _find_any(root, prefix, [f"{name}.h5"])
        if matrix is not None:
            return matrix
        folder = _find(root, prefix, name, folders=True)
        matrix = None if folder is None else _find_any(folder, prefix, [MATRIX])
        if matrix is not None:
            return matrix
    return _find_any(root, prefix, [MATRIX, PROBES])


def _bin_um(root: Path, positions: Path, platform: str | None) -> float | None:
    """Width of a bin in µm, or None for spots."""
    named = _bin_of(root)
    if named is not None or not is_parquet(positions):
        return named
    # outside of its own folder a table of bins is told by its barcodes: s_002um_00434_01637-1
    barcode = re.match(r"s_(\d{3})um_", first_barcode(positions))
    if barcode is not None:
        return float(barcode[1])
    return BIN_UM if platform == "visium-hd" else None


def _bin_of(folder: Path) -> float | None:
    name = re.fullmatch(r"square_(\d+)um", folder.name)
    return float(name[1]) if name is not None and int(name[1]) else None


def _find_any(folder: Path, prefix: str | None, names: Iterable[str]) -> Path | None:
    """The first of several files that is there, plain or gzip'd."""
    found = (_find(folder, prefix, f"{name}{packed}") for name in names for packed in ("", ".gz"))
    return next((path for path in found if path is not None), None)


def _find(folder: Path, prefix: str | None, name: str, *, folders: bool = False) -> Path | None:
    def fits(path: Path) -> bool:
        return path.is_dir() if folders else path.is_file()

    if prefix is not None and fits(folder / f"{prefix}{name}"):
        return folder / f"{prefix}{name}"
    if fits(folder / name):
        return folder / name
    if prefix is not None:
        return None
    # what begins with a dot is a Mac's, not Space Ranger's
    prefixed = sorted(path for path in folder.glob(f"*[-_.]{name}") if fits(path) and not path.name.startswith("."))
    if len(prefixed) > 1:
        example = prefixed[0].name.removesuffix(name)
        raise InputError(
            f"{folder}: several {'folders' if folders else 'files'} could be {name}: "
            f"{', '.join(path.name for path in prefixed)}; "
            f'say which in the manifest, with prefix = "{example}" or another under this [[sample]]'
        )
    return prefixed[0] if prefixed else None


def _hint(root: Path, prefix: str | None) -> str:
    """What may explain why something is not there."""
    if prefix is not None:
        return f" whose name begins with {prefix!r}, as 'prefix' in the manifest asks for"
    archives = sorted(path.name for path in root.glob("*.tar*") if not path.name.startswith("."))
    if archives:
        return f"; unpack {', '.join(archives)} first"
    if (root / CELLS).is_dir():
        return f", only {CELLS}, and cells are no bins; copy {HD_BINS.parent} as well"
    return ""
