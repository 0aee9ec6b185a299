import h5py
import numpy as np
import pytest

from g2m_data.spaceranger.hdf5_blocks import read_block

VALUES = np.random.default_rng(0).integers(0, 18_000, 1_000)
STORED = {
    "gzip": {"chunks": (70,), "compression": "gzip"},
    "gzip and shuffle": {"chunks": (70,), "compression": "gzip", "shuffle": True},
    "checksum": {"chunks": (70,), "compression": "gzip", "fletcher32": True},
    "other": {"chunks": (70,), "compression": "lzf"},
    "plain chunks": {"chunks": (70,)},
    "contiguous": {},
}


@pytest.mark.parametrize("kind", ["i4", "i8", ">i8", "u2", "f4"])
@pytest.mark.parametrize("stored", STORED)
def test_any_part_is_what_h5py_reads(tmp_path, stored, kind):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("a", data=VALUES.astype(kind), **STORED[stored])
        file.flush()
        for start, stop in [(0, 1000), (0, 0), (69, 71), (140, 210), (999, 1000), (3, 888)]:
            block = read_block(dataset, start, stop)
            assert block.dtype == dataset.dtype
            np.testing.assert_array_equal(block, dataset[start:stop])


def test_chunks_stored_in_another_way_or_never_are_read_too(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("a", (210,), "i4", chunks=(70,), compression="gzip", fillvalue=5)
        dataset.id.write_direct_chunk((70,), np.arange(70, dtype="i4").tobytes(), filter_mask=1)
        file.flush()
        np.testing.assert_array_equal(read_block(dataset, 60, 150), [*[5] * 10, *range(70), *[5] * 10])


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_damaged_chunk_is_an_error(tmp_path, damage):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("a", data=VALUES, **STORED["gzip"])
        dataset.id.write_direct_chunk((140,), damage + dataset.id.read_direct_chunk((140,))[1][:-9])
        file.flush()
        with pytest.raises((RuntimeError, OSError)):
            read_block(dataset, 0, 1000)
