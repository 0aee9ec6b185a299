import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from g2m_data.bin_counts import BinCounts
from g2m_data.window_sums import stream_windows, sum_windows
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


def naive_sums(array, counts, centres, size):
    half = size // 2
    inside = [np.abs(array - array[centre]).max(axis=1) <= half for centre in centres]
    return np.array([counts[bins].sum(axis=0) for bins in inside]).reshape(len(centres), counts.shape[1])


@settings(max_examples=150, deadline=None)
@given(sections(), st.integers(1, 3))
def test_gathered_sums_match_naive_loop_for_any_windows_in_any_order(section, threads):
    array, counts, centres, size = section
    packed = BinCounts.from_csr(sparse.csr_array(counts))
    sums = sum_windows(BinGrid.from_array(array), packed, centres, size, threads=threads)
    assert sums.dtype == np.int32
    np.testing.assert_array_equal(sums, naive_sums(array, counts, centres, size))


@settings(max_examples=150, deadline=None)
@given(sections(), st.integers(1, 5), st.integers(1, 3))
def test_streamed_sums_match_naive_loop_whatever_the_block(section, block, threads):
    array, counts, centres, size = section
    packed, expected = BinCounts.from_csr(sparse.csr_array(counts)), naive_sums(array, counts, centres, size)
    narrow = expected.sum(axis=1).max(initial=0) < 1 << 16
    seen = 0
    for part, sums in stream_windows(BinGrid.from_array(array), packed, centres, size, block=block, threads=threads):
        assert (part.start, sums.dtype) == (seen, np.uint16 if narrow else np.int32)
        np.testing.assert_array_equal(sums, expected[part])
        seen = part.stop
    assert seen == len(centres)
