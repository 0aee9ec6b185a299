"""Sections of the phantom, disturbed by known amounts."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from g2m_data.doctor.examine import Examination, examine
from g2m_data.simulate import simulate_study

X, Y = "pxl_col_in_fullres", "pxl_row_in_fullres"
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Patient:
    """A study of one section of the phantom, whose files may be disturbed before it is examined."""

    folder: Path
    """Of the section: outs/ and its slide."""
    manifest: Path
    mpp: float

    def move(self, change: Change) -> None:
        """Change the spots' (x, y), in full-resolution pixels."""
        path = next(self.folder.rglob("tissue_positions*"))
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            table[[X, Y]] = change(table[[X, Y]].to_numpy())
            table.to_parquet(path, index=False)
        else:
            table = pd.read_csv(path, header=None)
            table[[5, 4]] = change(table[[5, 4]].to_numpy(dtype=float)).round().astype(int)
            table.to_csv(path, index=False, header=False)

    @property
    def slide(self) -> Path:
        return next(self.folder.glob("tissue.*"))

    def repaint(self, image: np.ndarray) -> None:
        path = self.slide
        path.unlink()
        tifffile.imwrite(path, image, photometric="rgb", tile=(256, 256), compression="zlib")

    def examine(self) -> Examination:
        return next(iter(examine(self.manifest)))


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_study(tmp_path_factory.mktemp("phantom") / "tiny", preset="tiny", seed=3, workers=1).parent


@pytest.fixture
def admit(phantom: Path, tmp_path: Path) -> Callable[..., Patient]:
    def admit(sample: str = "hd1", settings: str = "", stain: str = "macenko") -> Patient:
        folder = tmp_path / sample
        shutil.copytree(phantom / "raw" / sample, folder)
        platform, slide = ("visium-hd", "tissue.btf") if sample == "hd1" else ("visium", "tissue.tif")
        manifest = tmp_path / f"{sample}.toml"
        manifest.write_text(
            f'[study]\nname = "patient"\n[patch]\nstain = "{stain}"\n[[sample]]\nid = "{sample}"\nsplit = "train"\n'
            f'platform = "{platform}"\nspaceranger = "{sample}/outs"\nimage = "{sample}/{slide}"\n{settings}\n'
        )
        return Patient(folder, manifest, {"hd1": 0.4523, "visium1": 0.5011}[sample])

    return admit


@pytest.fixture(scope="session")
def healthy(phantom: Path) -> dict[str, Examination]:
    """All sections of the phantom as they are."""
    return {examination.report.id: examination for examination in examine(phantom / "study.toml")}
