"""Where each barcode sits: on the array and on the slide."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from g2m_data.errors import InputError
from g2m_data.spaceranger.gzipped import DAMAGE, is_gzipped, open_plain

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
ROWS = 1 << 18
"""Rows read at once."""
MOST_PLACES, MOST_PX = 10_000, 1e7
"""Rows or columns that an array may have (Visium HD of 11 mm has 5,500), and how far off a place may lie, pixels."""


@dataclass(frozen=True, kw_only=True)
class Positions:
    """All barcodes of an array, in the file's order."""

    barcodes: pa.Array
    """Binary strings; arrow, because eleven million Python strings do not fit a laptop."""
    in_tissue: NDArray[np.bool_]
    array: NDArray[np.int32]
    """(n, 2): array row, array column."""
    xy: NDArray[np.float64]
    """(n, 2): centres in full-resolution pixels."""


def read_positions(path: Path) -> Positions:
    """Read `tissue_positions.parquet`, `tissue_positions.csv` or `tissue_positions_list.csv`, gzip'd or not.

    Space Ranger 1 wrote the CSV without a header and version 2 with one, and both exist under both names: the first
    cell tells.

    Raises
    ------
    InputError
        If the file is damaged or is not a table of positions.
    """
    try:
        parts = [_read_part(path, batch) for batch in _batches(path)]
    except InputError:
        raise
    except (*DAMAGE, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: cannot be read as spot positions ({reason}); expected columns {', '.join(COLUMNS)}"
        ) from None
    barcodes = pa.concat_arrays([part.barcodes for part in parts]) if parts else pa.array([], pa.binary())
    if not len(barcodes):
        raise InputError(f"{path}: lists no spots")
    if barcodes.null_count:
        raise InputError(f"{path}: {barcodes.null_count} positions have no barcode; copy the file again")
    # a whole array's are in order, and telling that takes no hash table of eleven million
    in_order = len(barcodes) == 1 or pc.all(pc.less(barcodes[:-1], barcodes[1:])).as_py()
    if not in_order and len(pc.unique(barcodes)) != len(barcodes):
        raise InputError(f"{path}: some barcodes occur twice")
    return Positions(
        barcodes=barcodes,
        in_tissue=np.concatenate([part.in_tissue for part in parts]),
        array=np.concatenate([part.array for part in parts]),
        xy=np.concatenate([part.xy for part in parts]),
    )


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The table in parts: of eleven million rows, what is not kept weighs more than what is."""
    if not is_parquet(path):
        yield from _read_csv(path).to_batches()
        return
    with pq.ParquetFile(_seekable(path)) as file:
        yield from file.iter_batches(batch_size=ROWS, columns=COLUMNS)


def _read_part(path: Path, batch: pa.RecordBatch) -> Positions:
    columns = [batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in COLUMNS[1:]]
    for name, column in zip(COLUMNS[1:], columns, strict=True):
        _check_column(path, name, column)
    in_tissue, row, col, y, x = columns
    return Positions(
        barcodes=batch.column("barcode").cast(pa.string()).cast(pa.binary()),
        in_tissue=in_tissue != 0,
        array=np.stack([row, col], axis=1).astype(np.int32),
        xy=np.stack([x, y], axis=1),
    )


def _check_column(path: Path, name: str, column: NDArray[np.float64]) -> None:
    """Refuse what cannot be: a place that is no whole number, or far beyond any array or slide."""
    if name == "in_tissue":
        sound, what = (column == 0) | (column == 1), "0 or 1"
    elif name.startswith("array"):
        sound = (column >= 0) & (column < MOST_PLACES) & (column == np.rint(column))
        what = f"whole numbers from 0 to {MOST_PLACES - 1}"
    else:
        sound, what = np.abs(column) < MOST_PX, "pixels"
    if not sound.all():
        raise InputError(
            f"{path}: {(~sound).sum()} values of {name} are not numbers as they should be ({what}), "
            f"e.g. {column[~sound][0]:g}; copy the file again from Space Ranger's output"
        )


def is_parquet(path: Path) -> bool:
    """Whether a file of positions is parquet, by its name."""
    return path.name.removesuffix(".gz").endswith(".parquet")


def first_barcode(path: Path) -> str:
    """The first barcode of a parquet file of positions; empty where it cannot be read."""
    try:
        with pq.ParquetFile(_seekable(path)) as file:
            batch = next(file.iter_batches(batch_size=1, columns=["barcode"]), None)
        value = batch.column(0)[0].as_py() if batch is not None else ""
    except (*DAMAGE, ValueError, KeyError, pa.ArrowException):
        return ""
    return value.decode() if isinstance(value, bytes) else str(value)


def _seekable(path: Path) -> Path | pa.BufferReader:
    if not is_gzipped(path):
        return path
    with open_plain(path) as file:
        return pa.BufferReader(file.read())


def _read_csv(path: Path) -> pa.Table:
    with io.TextIOWrapper(open_plain(path), encoding="utf-8") as file:
        has_header = file.readline().split(",")[0].strip().strip('"').lower() == "barcode"
    with open_plain(path) as plain:
        frame = pd.read_csv(plain, header=0 if has_header else None, dtype=str)
    if not has_header:
        if frame.shape[1] != len(COLUMNS):
            raise ValueError(f"{frame.shape[1]} columns instead of {len(COLUMNS)}")
        frame.columns = pd.Index(COLUMNS)
    numbers = frame[COLUMNS[1:]].apply(pd.to_numeric)
    return pa.table(
        {"barcode": pa.array(frame["barcode"].astype(str), pa.string()), **{n: numbers[n] for n in COLUMNS[1:]}}
    )
