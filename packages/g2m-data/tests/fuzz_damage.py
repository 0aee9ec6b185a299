"""Ways of spoiling an input file: any bytes, or the meaning of a format's fields. Used by `fuzz_worker.py`.

Every way takes the file's content and four numbers between 0 and 1 that say where and what, and gives the new content.
"""

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import tifffile

Way = Callable[[bytes, Sequence[float]], bytes]
STRANGE: list[Any] = [
    0, -1, 1, 2, 0.5, -0.5, math.nan, math.inf, -math.inf, 1e-300, 1e-5, 300.0, 1e5, 1e9, 1e300,
    2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**64, 10**40, "", "x", "nan", "1e9", "µ", "a\nb", "#", "\0", "../..", True,
    None, [], {"a": 1},
]  # fmt: skip
DTYPES = ["int8", "uint8", "uint32", "int64", "uint64", "float32", "float64", "S3", "S40", "bool", "complex64"]


def _at(fraction: float, length: int) -> int:
    return min(int(fraction * length), max(0, length - 1))


def _pick(fraction: float, choices: Sequence[Any]) -> Any:
    return choices[_at(fraction, len(choices))]


# ---- bytes ----------------------------------------------------------------------------------------------------------


def truncate(content: bytes, n: Sequence[float]) -> bytes:
    return content[: _at(n[0], len(content))]


def flip_bits(content: bytes, n: Sequence[float]) -> bytes:
    """One to eight bits; half of the time near the beginning, where headers are."""
    spoilt = bytearray(content)
    reach = len(content) if n[0] < 0.5 else min(len(content), 2048)
    rng = np.random.default_rng([int(x * 2**32) for x in n])
    for place, bit in zip(rng.integers(0, reach, 1 + int(n[1] * 8)), rng.integers(0, 8, 9), strict=False):
        spoilt[place] ^= 1 << int(bit)
    return bytes(spoilt)


def zero_range(content: bytes, n: Sequence[float]) -> bytes:
    start, length = _at(n[0], len(content)), 1 + _at(n[1] ** 3, len(content))
    middle = content[start : start + length]
    return content[:start] + bytes(len(middle)) + content[start + length :]


def fill_range(content: bytes, n: Sequence[float]) -> bytes:
    start, length = _at(n[0], len(content)), 1 + _at(n[1] ** 3, len(content))
    middle = content[start : start + length]
    noise = np.random.default_rng(int(n[2] * 2**32)).bytes(len(middle)) if n[3] < 0.7 else b"\xff" * len(middle)
    return content[:start] + noise + content[start + length :]


def swap_ranges(content: bytes, n: Sequence[float]) -> bytes:
    length = 1 + _at(n[2] ** 2, len(content) // 3)
    first, second = sorted((_at(n[0], len(content)), _at(n[1], len(content))))
    second = max(second, first + length)
    a, b = content[first : first + length], content[second : second + length]
    return content[:first] + b + content[first + length : second] + a + content[second + length :]


def cut_out(content: bytes, n: Sequence[float]) -> bytes:
    start, length = _at(n[0], len(content)), 1 + _at(n[1] ** 3, len(content))
    return content[:start] + content[start + length :]


def repeat_tail(content: bytes, n: Sequence[float]) -> bytes:
    return content + content[_at(n[0], len(content)) :]


def empty(content: bytes, n: Sequence[float]) -> bytes:
    return b""


def append_garbage(content: bytes, n: Sequence[float]) -> bytes:
    return content + np.random.default_rng(int(n[0] * 2**32)).bytes(1 + int(n[1] * 5000))


def replace_all(content: bytes, n: Sequence[float]) -> bytes:
    """Another kind of file altogether under this name."""
    others = [
        b"<html>404 Not Found</html>\n",
        b"\x89HDF\r\n\x1a\n",
        b"PAR1PAR1",
        b"II*\0\x08\0\0\0",
        b"\xff\xd8\xff\xd9",
    ]
    return _pick(
        n[0], [*others, b"version https://git-lfs.github.com/spec/v1\n", b"\x89PNG\r\n\x1a\n", gzip.compress(b"x")]
    )


BYTES: list[Way] = [
    truncate, flip_bits, zero_range, fill_range, swap_ranges, cut_out, repeat_tail, empty, append_garbage, replace_all
]  # fmt: skip

# ---- JSON, TOML -----------------------------------------------------------------------------------------------------


def edit_json(content: bytes, n: Sequence[float]) -> bytes:
    values = json.loads(content)
    values[_pick(n[0], sorted(values))] = _pick(n[1], STRANGE)
    return json.dumps(values).encode()


def rename_json_key(content: bytes, n: Sequence[float]) -> bytes:
    values = json.loads(content)
    value = values.pop(_pick(n[0], sorted(values)))
    return json.dumps(values | ({"other": value} if n[1] < 0.5 else {})).encode()


def wrap_json(content: bytes, n: Sequence[float]) -> bytes:
    return _pick(n[0], [b"[" + content + b"]", b"[" * 100_000, b"null", b"1e999", content.decode().encode("utf-16")])


def edit_toml(content: bytes, n: Sequence[float]) -> bytes:
    lines = content.decode().splitlines()
    places = [i for i, line in enumerate(lines) if "=" in line]
    place = _pick(n[0], places)
    key = lines[place].split("=")[0].strip()
    strange = [
        *(json.dumps(value) for value in STRANGE if value is not None),
        "nan",
        "inf",
        '"' + "a" * 300 + '"',
        '"/"',
    ]
    lines[place] = f"{key} = {_pick(n[1], strange)}"
    return "\n".join(lines).encode()


def add_toml(content: bytes, n: Sequence[float]) -> bytes:
    """A further setting with a strange value in the last table, which is the sample's."""
    keys = ["mpp", "pitch_um", "spot_um", "prefix", "platform", "id", "pixels"]
    return content + f"\n{_pick(n[0], keys)} = {json.dumps(_pick(n[1], STRANGE))}\n".encode()


def drop_line(content: bytes, n: Sequence[float]) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[_at(n[0], len(lines))]
    return b"".join(lines)


def repeat_line(content: bytes, n: Sequence[float]) -> bytes:
    lines = content.splitlines(keepends=True)
    lines.insert(_at(n[0], len(lines)), _pick(n[1], lines))
    return b"".join(lines)


# ---- tables of text: positions, barcodes, features, matrix market, gene list ----------------------------------------


def edit_cell(content: bytes, n: Sequence[float]) -> bytes:
    delimiter = _delimiter(content)
    rows = [line.split(delimiter) for line in content.decode().split("\n")]
    row = _pick(n[0] if n[3] < 0.6 else 0.0, rows)
    row[_at(n[1], len(row))] = str(_pick(n[2], STRANGE))
    return "\n".join(delimiter.join(row) for row in rows).encode()


def edit_column(content: bytes, n: Sequence[float]) -> bytes:
    delimiter = _delimiter(content)
    rows = [line.split(delimiter) for line in content.decode().rstrip("\n").split("\n")]
    column = _at(n[0], min(map(len, rows)))
    for row in rows[1:]:
        row[column] = str(_pick(n[1], STRANGE))
    return "\n".join(delimiter.join(row) for row in rows).encode()


def swap_columns(content: bytes, n: Sequence[float]) -> bytes:
    delimiter = _delimiter(content)
    rows = [line.split(delimiter) for line in content.decode().rstrip("\n").split("\n")]
    width = min(map(len, rows))
    order = np.random.default_rng(int(n[0] * 2**32)).permutation(width)
    start = int(n[1] * 2)  # with or without the header
    rows[start:] = [[row[i] for i in order] for row in rows[start:]]
    return "\n".join(delimiter.join(row) for row in rows).encode()


def drop_column(content: bytes, n: Sequence[float]) -> bytes:
    delimiter = _delimiter(content)
    rows = [line.split(delimiter) for line in content.decode().rstrip("\n").split("\n")]
    column = _at(n[0], min(map(len, rows)))
    return "\n".join(delimiter.join(row[:column] + row[column + 1 :]) for row in rows).encode()


def change_delimiter(content: bytes, n: Sequence[float]) -> bytes:
    return content.replace(_delimiter(content).encode(), _pick(n[0], [b";", b"\t", b",", b"  ", b" "]))


def change_encoding(content: bytes, n: Sequence[float]) -> bytes:
    return (
        content.decode()
        .replace("\n", "\r\n" if n[0] < 0.5 else "\r")
        .encode(_pick(n[1], ["utf-8", "utf-16", "utf-8-sig"]))
    )


def _delimiter(content: bytes) -> str:
    last = content.rstrip().rpartition(b"\n")[2]
    return next((mark for mark in (",", "\t", " ") if mark.encode() in last), ",")


# ---- parquet --------------------------------------------------------------------------------------------------------


def edit_parquet_cell(content: bytes, n: Sequence[float]) -> bytes:
    table = pd.read_parquet(io.BytesIO(content)).astype(object)
    value = _pick(n[2], STRANGE)
    column = _pick(n[1], list(table))
    table.loc[_at(n[0], len(table)), column] = value if isinstance(value, int | float | None) else str(value)
    try:
        return _parquet(table.infer_objects())
    except Exception:  # a column of numbers and texts is no parquet column
        return _parquet(table.astype({column: str}))


def edit_parquet_column(content: bytes, n: Sequence[float]) -> bytes:
    table = pd.read_parquet(io.BytesIO(content))
    column, kind = (
        _pick(n[1], list(table)),
        _pick(n[2], ["str", "float32", "int8", "bool", "category", "lists", "none", "same"]),
    )
    if kind == "lists":
        table[column] = [[value] for value in table[column]]
    elif kind == "none":
        table[column] = None
    elif kind == "same":
        table[column] = table[column].iloc[0]
    else:
        text = column == "barcode" and kind not in ("str", "category")
        table[column] = table.index.to_numpy().astype(kind) if text else table[column].astype(kind)
    return _parquet(table)


def rearrange_parquet(content: bytes, n: Sequence[float]) -> bytes:
    table = pd.read_parquet(io.BytesIO(content))
    columns = list(table)
    column = _pick(n[1], columns)
    if n[0] < 0.2:
        return _parquet(table.drop(columns=column))
    if n[0] < 0.4:
        return _parquet(table.rename(columns={column: column.upper()}))
    if n[0] < 0.6:
        return _parquet(table[list(np.random.default_rng(int(n[2] * 2**32)).permutation(columns))])
    if n[0] < 0.8:
        return _parquet(pd.concat([table, table.iloc[[_at(n[2], len(table))]]]))
    return _parquet(table.sample(frac=n[2], random_state=int(n[3] * 2**32)))


def _parquet(table: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    table.to_parquet(sink)
    return sink.getvalue()


# ---- HDF5 -----------------------------------------------------------------------------------------------------------

FIELDS = ["data", "indices", "indptr", "shape", "barcodes", "features/id", "features/name", "features/feature_type"]


def edit_h5_value(content: bytes, n: Sequence[float]) -> bytes:
    def edit(group: h5py.Group, name: str) -> None:
        values = group[name][:]
        strange = _pick(n[2], STRANGE)
        if values.dtype.kind in "SO":
            values[_at(n[1], len(values))] = [b"\xff\xfe", b"", b"a\nb", b" Gene1 ", b"#x", values[0]][_at(n[2], 6)]
        else:
            with np.errstate(all="ignore"):
                number = strange if isinstance(strange, int | float) else -7
                if n[3] < 0.5:  # in the file's own type
                    number = int(max(-(2**31), min(2**31 - 1, 0 if math.isnan(number) else number)))
                else:
                    values = values.astype(np.float64)
                values[_at(n[1], len(values))] = number
        _replace(group, name, values)

    return _edit_h5(content, _pick(n[0], FIELDS), edit)


def retype_h5(content: bytes, n: Sequence[float]) -> bytes:
    def edit(group: h5py.Group, name: str) -> None:
        values = group[name][:]
        dtype = _pick(n[1], DTYPES)
        numbers = values.dtype.kind not in "SO" or dtype.startswith("S")
        _replace(group, name, (values if numbers else np.arange(len(values))).astype(dtype))

    return _edit_h5(content, _pick(n[0], FIELDS), edit)


def reshape_h5(content: bytes, n: Sequence[float]) -> bytes:
    def edit(group: h5py.Group, name: str) -> None:
        values = group[name][:]
        ways = [values[:-1], values[:0], values[None], values[0], values.repeat(2), values[::-1], np.sort(values)]
        _replace(group, name, _pick(n[1], ways))

    return _edit_h5(content, _pick(n[0], FIELDS), edit)


def swell_h5(content: bytes, n: Sequence[float]) -> bytes:
    """A field that claims to be very long, or of very large chunks, and has nothing in it."""

    def edit(group: h5py.Group, name: str) -> None:
        dtype = group[name].dtype
        length = _pick(n[1], [10**6, 2**31, 2**35, 2**40, 2**62])
        del group[name]
        group.create_dataset(
            name, shape=(length,), dtype=dtype, chunks=(min(length, _pick(n[2], [1000, 2**24, 2**28])),)
        )

    return _edit_h5(content, _pick(n[0], FIELDS), edit)


def remove_h5(content: bytes, n: Sequence[float]) -> bytes:
    def edit(group: h5py.Group, name: str) -> None:
        del group[name]
        if n[1] < 0.3:
            group.create_group(name)
        elif n[1] < 0.5:
            group[name] = h5py.SoftLink("/matrix")
        elif n[1] < 0.7:
            group[name] = h5py.ExternalLink("elsewhere.h5", "/x")

    return _edit_h5(content, _pick(n[0], [*FIELDS, "features"]), edit)


def _edit_h5(content: bytes, name: str, edit: Callable[[h5py.Group, str], None]) -> bytes:
    image = io.BytesIO(content)
    with h5py.File(image, "a") as file:
        edit(file["matrix"], name)
    return image.getvalue()


def _replace(group: h5py.Group, name: str, values: Any) -> None:
    values = np.asarray(values)
    dtype = h5py.string_dtype() if values.dtype.kind == "O" else None  # texts of any length stay such
    del group[name]
    group.create_dataset(name, data=values, dtype=dtype)


# ---- images ---------------------------------------------------------------------------------------------------------


def edit_tiff_tag(content: bytes, n: Sequence[float]) -> bytes:
    """Another number in a tag of the first image."""
    spoilt = bytearray(content)
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        page = tiff.pages[0]
        wanted = [tag for tag in page.tags.values() if tag.name != "ImageDescription"]
        tag = _pick(n[0], wanted)
        size = tag.dtype.value and {1: 1, 3: 2, 4: 4, 5: 4, 16: 8}.get(int(tag.dtype), 1)
        value = _pick(n[1], [0, 1, 2, 3, 7, 8, 100, 255, 2**15, 2**16 - 1, 2**20, 2**31 - 1, 2**32 - 1, 2**40, 2**63])
        place = tag.valueoffset + size * _at(n[2], tag.count)
        spoilt[place : place + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(spoilt)


def edit_png_header(content: bytes, n: Sequence[float]) -> bytes:
    """Width, height, depth or colour type, with the checksum put right."""
    header = bytearray(content[16:29])
    place = _pick(n[0], [0, 4, 8, 9, 10, 12])
    size = 4 if place < 8 else 1
    header[place : place + size] = _pick(n[1], [0, 1, 2, 3, 4, 6, 8, 16, 100, 2**15, 10**6, 2**30, 2**31]).to_bytes(
        8, "big"
    )[-size:]
    return content[:16] + bytes(header) + zlib.crc32(b"IHDR" + bytes(header)).to_bytes(4, "big") + content[33:]


def edit_jpeg_header(content: bytes, n: Sequence[float]) -> bytes:
    """Height, width, number of components or sampling in the frame's header."""
    start = content.index(b"\xff\xc0")
    place = start + _pick(n[0], [4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    return content[:place] + bytes([_pick(n[1], [0, 1, 2, 4, 17, 34, 255, 65])]) + content[place + 1 :]


TEXT: list[Way] = [
    edit_cell, edit_column, swap_columns, drop_column, change_delimiter, change_encoding, drop_line, repeat_line
]  # fmt: skip
MEANING: dict[str, list[Way]] = {
    ".json": [edit_json, rename_json_key, wrap_json],
    ".toml": [edit_toml, add_toml, drop_line, repeat_line],
    ".csv": TEXT,
    ".tsv": TEXT,
    ".mtx": TEXT,
    ".txt": TEXT,
    ".parquet": [edit_parquet_cell, edit_parquet_column, rearrange_parquet],
    ".h5": [edit_h5_value, retype_h5, reshape_h5, swell_h5, remove_h5],
    ".tif": [edit_tiff_tag],
    ".btf": [edit_tiff_tag],
    ".png": [edit_png_header],
    ".jpg": [edit_jpeg_header],
}


def spoil(path: Path, way: int, numbers: Sequence[float]) -> str:
    """Spoil a file by one of the ways that there are for its format, or by one for any bytes; gives the way's name.

    A gzip'd file is unpacked first for the ways of its format.
    """
    content, packed = path.read_bytes(), path.suffix == ".gz"
    ways = MEANING[path.with_suffix("").suffix if packed else path.suffix]
    # half of the cases each
    chosen = ways[way // 2 % len(ways)] if way % 2 else BYTES[way // 2 % len(BYTES)]
    if packed and chosen in ways:
        content = gzip.compress(chosen(gzip.decompress(content), numbers), 1)
    else:
        content = chosen(content, numbers)
    path.write_bytes(content)
    return chosen.__name__
