"""Where the files of a Space Ranger folder lie."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from g2m_data.errors import InputError

HD_BINS = Path("binned_outputs") / "square_002um"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The files of one section that g2m reads."""

    is_hd: bool
    """Whether these are 2 µm bins of Visium HD rather than spots."""
    matrix: Path
    positions: Path
    scalefactors: Path | None


def find_layout(folder: Path, platform: str | None) -> Layout:
    """Find matrix, positions and scale factors in a Space Ranger folder (`outs`, or for HD also its folder of bins).

    File names may carry a dataset prefix (`Mouse_Kidney_filtered_feature_bc_matrix.h5`).

    Raises
    ------
    InputError
        If a file is missing, or several could be meant.
    """
    root = folder / HD_BINS if (folder / HD_BINS).is_dir() else folder
    spatial = root / "spatial"
    if not spatial.is_dir():
        raise InputError(f"{folder}: not a Space Ranger output folder: it has no 'spatial' folder")
    positions = _find(spatial, "tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
    if positions is None:
        raise InputError(
            f"{spatial}: no tissue_positions.parquet, tissue_positions.csv or tissue_positions_list.csv in it"
        )
    is_hd = root != folder or positions.suffix == ".parquet"
    if platform is not None and is_hd != (platform == "visium-hd"):
        found = "bins of Visium HD" if is_hd else f"spots, no {HD_BINS}"
        raise InputError(f"{folder}: the manifest says platform {platform!r}, but the folder holds {found}")
    matrix = _find(root, "filtered_feature_bc_matrix.h5", "raw_feature_bc_matrix.h5")
    if matrix is None:
        raise InputError(f"{root}: no filtered_feature_bc_matrix.h5 in it")
    return Layout(
        is_hd=is_hd, matrix=matrix, positions=positions, scalefactors=_find(spatial, "scalefactors_json.json")
    )


def read_scalefactors(path: Path | None) -> dict[str, float]:
    """Read the numbers of `scalefactors_json.json`; empty where there is no such file."""
    if path is None:
        return {}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as JSON ({error}); copy it again from Space Ranger's output"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object of scale factors")
    return {key: float(value) for key, value in content.items() if isinstance(value, int | float)}


def _find(folder: Path, *names: str) -> Path | None:
    for name in names:
        if (folder / name).is_file():
            return folder / name
        prefixed = sorted(path for path in folder.glob(f"*[-_.]{name}") if path.is_file())
        if len(prefixed) > 1:
            raise InputError(f"{folder}: several files could be {name}: {', '.join(path.name for path in prefixed)}")
        if prefixed:
            return prefixed[0]
    return None
