import numpy as np
import pyarrow as pa
import pytest

from g2m_data.spaceranger.barcodes import as_arrow, find_in_order, find_rows

NAMES = [f"s_002um_{row:05d}_{col:05d}-1".encode() for row in (7, 99, 3349) for col in range(0, 1200, 11)]


@pytest.mark.parametrize("order", ["forward", "shuffled"])
def test_barcodes_of_bins_are_found(order):
    chosen = np.arange(5, len(NAMES), 3)
    if order == "shuffled":
        np.random.default_rng(0).shuffle(chosen)
    found = find_in_order(np.array(NAMES)[chosen], pa.array(NAMES, pa.binary()))
    np.testing.assert_array_equal(found, chosen)


def test_part_of_an_array_is_searched_alone():
    found = find_in_order(np.array(NAMES[40:42]), pa.array(NAMES, pa.binary())[30:60])
    np.testing.assert_array_equal(found, [10, 11])


@pytest.mark.parametrize(
    ("barcodes", "among"),
    [
        ([b"a3"], [b"a1", b"a2", b"a4"]),
        ([b"a9"], [b"a1", b"a2", b"a4"]),
        ([b"b1"], [b"a1", b"a2"]),
        ([b"a1"], [b"a2", b"a1"]),
        ([b"a1"], [b"a1", b"a1"]),
        ([b"a1"], [b"a1", b"a11"]),
        ([], [b"a1"]),
        ([b"AAAAAAAAAAAAAAAAAAAA"], [b"AAAAAAAAAAAAAAAAAAAA", b"TTTTTTTTTTTTTTTTTTTT"]),
    ],
)
def test_what_is_not_there_or_of_another_kind_is_left_to_a_hash_table(barcodes, among):
    assert find_in_order(np.array(barcodes, dtype="S"), pa.array(among, pa.binary())) is None


@pytest.mark.parametrize("barcodes", [[b"AA-1", b"CA-1"], [b"AA-1", b"CAT-1"], []])
def test_barcodes_become_arrow_strings_as_they_are(barcodes):
    assert as_arrow(np.array(barcodes, dtype="S")).to_pylist() == barcodes


@pytest.mark.parametrize("places", [[b"a1", b"a2", b"a3"], [b"a3", b"a1", b"a2"], [b"a1", b"a22", b"a3"]])
def test_rows_of_places_and_what_is_none_of_them(places):
    row, unknown = find_rows(np.array([b"a3", b"a9", b"a1"]), pa.array(places, pa.binary()))
    assert row.tolist() == [{b"a3": 0, b"a1": 2}.get(place, -1) for place in places]
    assert unknown.to_pylist() == [b"a9"]
    row, unknown = find_rows(np.array([b"a3", b"a1"]), pa.array(places, pa.binary()))
    assert row.tolist() == [{b"a3": 0, b"a1": 1}.get(place, -1) for place in places]
    assert len(unknown) == 0
