from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from g2m_data.bin_counts import BinCounts
from g2m_data.window_sums import TABLE, WindowSums, compress
from g2m_data.windows import BinGrid

GENES = 7


@st.composite
def sections(draw):
    """Bins with holes, their counts, and any windows around bins: in any order, repeated, over the edge."""
    rows, cols = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((rows, cols)) < draw(st.sampled_from([0.5, 0.9, 1.0]))
    mask[rng.integers(rows), rng.integers(cols)] = True
    array = np.argwhere(mask) + rng.integers(0, 40, 2)
    largest = draw(st.sampled_from([2, 100, 300, 40_000, 70_000]))
    counts = rng.integers(0, largest + 1, (len(array), GENES)) * (rng.random((len(array), GENES)) < 0.4)
    size = draw(st.sampled_from([1, 3, 5, 9]))
    order = draw(st.sampled_from(["all", "every other", "some"]))
    centres = np.arange(len(array)) if order != "every other" else np.arange(0, len(array), 2)
    if order == "some":
        centres = rng.integers(0, len(array), draw(st.integers(0, 9)))
    return array, counts, centres, size


def pack(counts):
    matrix = sparse.csr_array(counts)
    kind = np.min_scalar_type(int(matrix.data.max(initial=0)))
    return BinCounts(
        indptr=matrix.indptr.astype(np.int64),
        genes=matrix.indices.astype(np.uint16),
        counts=matrix.data.astype(kind if kind.itemsize < 4 else np.int32),
        n_genes=counts.shape[1],
    )


def sum_windows(grid, counts, centres, size, **threads):
    return WindowSums.around(grid, counts, centres, size).sum(np.arange(len(centres)), **threads)


def naive_sums(array, counts, centres, size):
    half = size // 2
    inside = [np.abs(array - array[centre]).max(axis=1) <= half for centre in centres]
    return np.array([counts[bins].sum(axis=0) for bins in inside]).reshape(len(centres), counts.shape[1])


@settings(max_examples=150, deadline=None)
@given(sections(), st.integers(1, 3))
def test_gathered_sums_match_naive_loop_for_any_windows_in_any_order(section, threads):
    array, counts, centres, size = section
    packed = pack(counts)
    sums = sum_windows(BinGrid.from_array(array), packed, centres, size, threads=threads)
    assert sums.dtype == np.int32
    np.testing.assert_array_equal(sums, naive_sums(array, counts, centres, size))


@settings(max_examples=150, deadline=None)
@given(sections(), st.integers(1, 5), st.integers(1, 3))
def test_streamed_sums_match_naive_loop_whatever_the_block(section, block, threads):
    array, counts, centres, size = section
    packed, expected = pack(counts), naive_sums(array, counts, centres, size)
    narrow = expected.sum(axis=1).max(initial=0) < 1 << 16
    seen = 0
    windows = WindowSums.around(BinGrid.from_array(array), packed, centres, size)
    for part, sums in windows.stream(block=block, threads=threads):
        assert (part.start, sums.dtype) == (seen, np.uint16 if narrow else np.int32)
        np.testing.assert_array_equal(sums, expected[part])
        seen = part.stop
    assert seen == len(centres)


def two_windows(totals):
    """Two windows of 3 x 3 bins side by side, the first gene of which holds so many counts in all."""
    array = np.stack(np.meshgrid(np.arange(3), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
    counts = np.zeros((12, GENES), dtype=np.int64)
    counts[[0, 3], 0] = totals
    return BinGrid.from_array(array), pack(counts), np.array([5, 6])


@pytest.mark.parametrize(
    "totals", [(65_535, 5), (65_536, 5), (5, 65_535), (5, 65_536), (65_536, 65_536), (200_000, 131_072)]
)
def test_sums_are_exact_where_sixteen_bits_overflow(totals):
    grid, counts, centres = two_windows(totals)
    np.testing.assert_array_equal(sum_windows(grid, counts, centres, 3)[:, 0], totals)
    np.testing.assert_array_equal(sum_windows(grid, counts, centres, 3, threads=1)[:, 0], totals)
    ((part, sums),) = WindowSums.around(grid, counts, centres, 3).stream()
    assert (part, sums.dtype) == (slice(0, 2), np.uint16 if max(totals) < 65_536 else np.int32)
    np.testing.assert_array_equal(sums[:, 0], totals)
    out = np.empty((2, GENES), np.float32)
    WindowSums.around(grid, counts, centres, 3).express(np.arange(2), np.ones(2, np.float32), out, threads=1)
    np.testing.assert_array_equal(out[:, 0], np.log1p(np.array(totals, dtype=float)).astype(np.float32))


def test_a_total_beyond_sixteen_bits_of_genes_that_are_not_stays_exact():
    grid, counts, centres = two_windows((65_535, 65_535))
    wide = pack(np.repeat(counts.totals[:, None], GENES, axis=1))
    np.testing.assert_array_equal(sum_windows(grid, wide, centres, 3), np.full((2, GENES), 65_535))
    for _, sums in WindowSums.around(grid, wide, centres, 3).stream():
        np.testing.assert_array_equal(sums, np.full((2, GENES), 65_535))


@settings(max_examples=100, deadline=None)
@given(sections(), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_expression_is_the_logarithm_of_scaled_sums_to_the_last_bit(section, threads, seed):
    array, counts, centres, size = section
    windows = WindowSums.around(BinGrid.from_array(array), pack(counts), centres, size)
    rng = np.random.default_rng(seed)
    index = rng.permutation(len(centres))
    factor = rng.gamma(1.0, 2.0, len(index)).astype(np.float32)
    sums = naive_sums(array, counts, centres, size)[index].astype(np.int32)
    out = np.full((len(index), GENES), np.nan, np.float32)
    windows.express(index, factor, out, threads=threads)
    row, gene = np.nonzero(sums)
    expected = np.zeros_like(out)
    expected[row, gene] = np.log1p(sums[row, gene] * factor[row])
    np.testing.assert_array_equal(out.view(np.int32), expected.view(np.int32))
    assert TABLE < 300  # both ways of taking a logarithm are among these


def test_a_stream_left_early_or_begun_with_no_windows_ends():
    grid, counts, centres = two_windows((3, 4))
    for _ in WindowSums.around(grid, counts, np.tile(centres, 50), 3).stream(block=1):
        break
    assert list(WindowSums.around(grid, counts, centres[:0], 3).stream()) == []
    assert sum_windows(grid, counts, centres[:0], 3).shape == (0, GENES)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(1, 9), st.sampled_from([np.uint16, np.int32]))
def test_compressed_sums_are_scipys(seed, rows, genes, kind):
    rng = np.random.default_rng(seed)
    dense = (rng.integers(1, 60_000, (rows, genes)) * (rng.random((rows, genes)) < 0.5)).astype(kind)
    found, expected = compress(dense), sparse.csr_array(dense.astype(np.int32))
    assert found.has_canonical_format
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == np.int32


def test_windows_are_summed_in_forked_processes():
    grid, counts, centres = two_windows((3, 4))
    sum_windows(grid, counts, centres, 3)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert pool.submit(sum_windows, grid, counts, centres, 3).result(timeout=60)[:, 0].tolist() == [3, 4]
