import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from g2m_data.manifest import View
from g2m_data.windows import BinGrid, enumerate_windows, locate_bins, window_totals


@st.composite
def tissues(draw):
    rows, cols = draw(st.integers(1, 18)), draw(st.integers(1, 18))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, cols)) < draw(st.sampled_from([0.5, 0.9, 0.98, 1.0]))
    mask[rng.integers(rows), rng.integers(cols)] = True
    first = (draw(st.integers(0, 40)), draw(st.integers(0, 40)))
    array = np.argwhere(mask) + first
    counts = rng.poisson(0.4, (len(array), 7))
    view = View(
        window_bins=draw(st.sampled_from([1, 3, 5, 7])),
        stride_bins=draw(st.integers(1, 6)),
        min_coverage=draw(st.sampled_from([0, 0.5, 20 / 25, 1.0])),
        all_bins=draw(st.booleans()),
    )
    return array, counts, view


def naive_windows(array, counts, view):
    """{(centre row, centre column): summed counts}, by looking every bin up."""
    bins = {tuple(place): row for place, row in zip(array.tolist(), counts, strict=True)}
    (low_row, low_col), (high_row, high_col) = array.min(axis=0), array.max(axis=0)
    before = -view.window_bins // view.stride_bins * view.stride_bins
    sums = {}
    for top in range(before, high_row + 1, view.stride_bins):
        for left in range(before, high_col + 1, view.stride_bins):
            members = [(top + i, left + j) for i in range(view.window_bins) for j in range(view.window_bins)]
            exist = [low_row <= row <= high_row and low_col <= col <= high_col for row, col in members]
            under = [member for member in members if member in bins]
            centre = (top + view.window_bins // 2, left + view.window_bins // 2)
            if view.all_bins and not all(exist):
                continue
            if centre in bins and len(under) / len(members) >= view.min_coverage:
                sums[centre] = np.sum([bins[member] for member in under], axis=0)
    return sums


@settings(max_examples=150, deadline=None)
@given(tissues())
def test_windows_and_totals_match_naive_loop_on_offset_grid_with_holes(case):
    array, counts, view = case
    grid = BinGrid.from_array(array)
    centres = enumerate_windows(grid, view)
    expected = naive_windows(array, counts, view)
    assert [tuple(place) for place in array[centres].tolist()] == sorted(expected)
    totals = [expected[place].sum() for place in sorted(expected)]
    np.testing.assert_array_equal(window_totals(grid, counts.sum(axis=1), centres, view.window_bins), totals)
    np.testing.assert_array_equal(np.stack(locate_bins(grid, centres), axis=1), array[centres] - array.min(axis=0))


def test_which_windows_there_are_does_not_depend_on_where_tissue_begins():
    array = np.argwhere(np.ones((40, 40), dtype=bool)) + np.array((100, 200))
    view = View(window_bins=9, stride_bins=5)
    whole = {tuple(place) for place in array[enumerate_windows(BinGrid.from_array(array), view)].tolist()}
    cut = array[(array[:, 0] >= 103) & (array[:, 1] >= 207)]
    kept = {tuple(place) for place in cut[enumerate_windows(BinGrid.from_array(cut), view)].tolist()}
    assert kept < whole
    assert kept == {place for place in whole if place[0] - 4 >= 103 and place[1] - 4 >= 207}


def test_a_window_over_the_edge_or_with_holes_takes_leave_of_its_own():
    array = np.argwhere(np.ones((9, 9), dtype=bool)) + 10
    array = array[(array != (12, 12)).any(axis=1)]
    grid = BinGrid.from_array(array)

    def centres(**settings):
        view = View(window_bins=5, stride_bins=5, **settings)
        return [tuple(place) for place in array[enumerate_windows(grid, view)].tolist()]

    # of the windows that begin at 10 and 15, the first has the hole in its centre, the last three hang over by one bin
    assert centres() == []
    assert centres(min_coverage=0.5) == []
    assert centres(all_bins=False) == []
    assert centres(min_coverage=0.8, all_bins=False) == [(12, 17), (17, 12)]
    assert centres(min_coverage=0.64, all_bins=False) == [(12, 17), (17, 12), (17, 17)]
