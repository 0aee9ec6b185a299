"""The phantom's truth: region and factor maps in slide coordinates, and the tables that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from g2m_data.errors import InputError

OUTSIDE = 255


@dataclass(frozen=True)
class TruthMaps:
    """What is true at every place of one section, on a raster whose cell (0, 0) starts at the slide's corner.

    Attributes
    ----------
    region
        uint8 (row, column), index into `region_names`, 255 outside the tissue.
    factors
        float32 (factor, row, column), mean 0 and variance 1 over the tissue.
    region_names, factor_names
        Names, in the order of the codes.
    pixel_px
        Edge of a raster cell in full-resolution slide pixels.
    """

    region: npt.NDArray[np.uint8]
    factors: npt.NDArray[np.float32]
    region_names: tuple[str, ...]
    factor_names: tuple[str, ...]
    pixel_px: float

    @classmethod
    def load(cls, directory: Path, sample: str) -> TruthMaps:
        """Read the maps of one sample.

        Raises
        ------
        InputError
            If the sample has no truth in this folder, or the file is not one of ours.
        """
        path = Path(directory) / f"{sample}.npz"
        if not path.is_file():
            raise InputError(f"no truth for sample '{sample}': {path} does not exist; remove `truth` from the manifest")
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(
                    file["region"],
                    file["factors"],
                    tuple(str(name) for name in file["region_names"]),
                    tuple(str(name) for name in file["factor_names"]),
                    float(file["pixel_px"]),
                )
        except (KeyError, ValueError, OSError) as error:
            raise InputError(
                f"{path} is not a truth file of the phantom ({error}); simulate the study again"
            ) from error

    def save(self, directory: Path, sample: str) -> None:
        """Write the maps as `<sample>.npz`, without pickled arrays."""
        np.savez_compressed(
            Path(directory) / f"{sample}.npz",
            region=self.region,
            factors=self.factors,
            region_names=np.array(self.region_names),
            factor_names=np.array(self.factor_names),
            pixel_px=np.float64(self.pixel_px),
        )

    def sample(self, xy_px: npt.NDArray[np.floating], width_px: float) -> pd.DataFrame:
        """What is true in square windows.

        Parameters
        ----------
        xy_px
            Centres (x, y) in full-resolution slide pixels, (n, 2).
        width_px
            Edge of the windows, in the same pixels.

        Returns
        -------
        One row a window: `region` (the majority's name, empty without tissue), `purity` (the majority's share of the
        raster cells whose centres lie in the window; glass and places off the slide count against it), and each
        factor's mean over the window's tissue (NaN without tissue).
        """
        xy = np.asarray(xy_px, np.float64).reshape(-1, 2)
        low = np.ceil((xy - width_px / 2) / self.pixel_px - 0.5).astype(np.int64)
        high = np.ceil((xy + width_px / 2) / self.pixel_px - 0.5).astype(np.int64)
        high = np.maximum(high, low + 1)  # a window between two centres still sees the cell it lies in
        cells = (high - low).prod(axis=1)
        counts = np.stack([_box_sums(self.region == code, low, high) for code in range(len(self.region_names))], axis=1)
        majority = counts.argmax(axis=1)
        most = counts[np.arange(len(xy)), majority]
        tissue = counts.sum(axis=1)
        names = np.array([*self.region_names, ""], dtype=object)
        table: dict[str, npt.ArrayLike] = {
            "region": names[np.where(tissue > 0, majority, len(self.region_names))],
            "purity": most / cells,
        }
        inside = self.region != OUTSIDE
        for name, field in zip(self.factor_names, self.factors, strict=True):
            total = _box_sums(np.where(inside, field, 0), low, high)
            table[name] = np.where(tissue > 0, total / np.maximum(tissue, 1), np.nan)
        return pd.DataFrame(table)


def _box_sums(
    raster: npt.NDArray[np.generic], low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Sums over [low, high) cells, (column, row) corners; cells beyond the raster count 0."""
    table = np.zeros((raster.shape[0] + 1, raster.shape[1] + 1))
    table[1:, 1:] = raster.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    left, right = (np.clip(edge[:, 0], 0, raster.shape[1]) for edge in (low, high))
    top, bottom = (np.clip(edge[:, 1], 0, raster.shape[0]) for edge in (low, high))
    sums: npt.NDArray[np.float64] = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
    return sums


def write_tables(
    directory: Path, genes: pd.DataFrame, factors: pd.DataFrame, sets: Mapping[str, tuple[str, Sequence[str]]]
) -> None:
    """Write `genes.csv`, `factors.csv` and `gene_sets.gmt` (name -> description, genes)."""
    genes.to_csv(directory / "genes.csv", index=False, float_format="%.6g", lineterminator="\n")
    factors.to_csv(directory / "factors.csv", index=False, lineterminator="\n")
    lines = ["\t".join((name, about, *members)) for name, (about, members) in sets.items()]
    (directory / "gene_sets.gmt").write_text("\n".join(lines) + "\n")


def read_factors(directory: Path) -> pd.DataFrame:
    """Read `factors.csv`: factor, regions (where it is drawn, ';' between), statistic, sign (+1 or -1)."""
    return _read_table(Path(directory) / "factors.csv", ("factor", "regions", "statistic", "sign"))


def read_genes(directory: Path) -> pd.DataFrame:
    """Read `genes.csv`: gene, mean_<region> (counts a 27 x 27 window), factor (or empty), effect (log fold per SD)."""
    table = _read_table(Path(directory) / "genes.csv", ("gene", "factor", "effect"))
    return table.assign(factor=table["factor"].fillna(""))


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path} does not exist; a truth folder holds it: simulate the study again")
    table = pd.read_csv(path, keep_default_na=False, na_values={"effect": [""]})
    missing = [name for name in columns if name not in table]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise InputError(f"{path} has no column '{missing[0]}' (found {found}); simulate the study again")
    return table
