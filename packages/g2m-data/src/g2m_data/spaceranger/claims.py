"""What an HDF5 matrix claims about its fields, checked before any of them is read.

A damaged header may announce terabytes, and HDF5 would fill them with zeros.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from g2m_data.errors import InputError

NUMBERS = ("data", "indices", "indptr", "shape")
MOST_COMPRESSED = 2000
"""Bytes that a stored byte can become; gzip manages a thousand."""
MOST_COUNTS = 1 << 20
"""Molecules of one gene at one place: ten times what was ever seen, and few enough for sums over windows in 32 bits."""
LARGEST_CHUNK = 1 << 30
"""Bytes of a chunk, which HDF5 reads whole."""


def check_claims(path: Path, group: h5py.Group) -> None:
    """Refuse a matrix whose fields are of the wrong kind, or claim far more than the file can hold.

    Parameters
    ----------
    path
        The file, for messages.
    group
        Its group `matrix`.

    Raises
    ------
    InputError
        Names the field.
    """
    features = group.get("features")
    fields = {name: group.get(name) for name in (*NUMBERS, "barcodes")}
    if isinstance(features, h5py.Group):
        fields |= {f"features/{name}": features[name] for name in ("id", "name", "feature_type") if name in features}
    for name, field in fields.items():
        kinds, what = ("iu", "whole numbers") if name in NUMBERS else ("SO", "names")
        if name == "data":
            kinds += "f"  # some tools write counts as real numbers
        if not isinstance(field, h5py.Dataset) or field.dtype.kind not in kinds or field.ndim != 1:
            raise InputError(
                f"{path}: truncated or damaged HDF5: 'matrix/{name}' is no list of {what}; copy or download it again"
            )
        stored, chunk = field.id.get_storage_size(), field.dtype.itemsize
        for side in field.chunks or ():
            chunk *= side
        if field.nbytes > MOST_COMPRESSED * stored + (1 << 20):
            raise InputError(
                f"{path}: truncated or damaged HDF5: 'matrix/{name}' claims {len(field)} values, holds {stored} bytes; "
                "copy or download it again"
            )
        if chunk > LARGEST_CHUNK:
            raise InputError(
                f"{path}: 'matrix/{name}' is stored as pieces of {chunk / 1e9:.1f} GB, too large to be read; "
                f"repack it: h5repack -l matrix/{name}:CHUNK=131072 OLD.h5 NEW.h5"
            )


def are_counts(values: NDArray[np.generic]) -> bool:
    """Whether numbers can be counts of molecules: whole, not negative, and not absurdly many."""
    if not len(values):
        return True
    whole = values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    return whole and bool(values.min() >= 0) and bool(values.max() <= MOST_COUNTS)
