from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from g2m_data import sorted_rows
from g2m_data.sorted_rows import sort_rows


def random_counts(rows, columns=300, largest=70_000):
    """Rows of few to many counts, some of them empty, some large."""
    generator = np.random.default_rng(0)
    dense = generator.poisson(0.05, (rows, columns)).astype(np.int32)
    dense[rows // 2] = 0
    dense[1, 290] = largest
    return sparse.csr_array(dense)


def in_blocks(counts, keys, sizes):
    ends = np.cumsum([0, *sizes])
    for first, last in pairwise(ends):
        yield counts[first:last], keys[first:last]


@pytest.mark.parametrize("block", [1, 37, 1 << 22])
@pytest.mark.parametrize("sizes", [(200,), (1, 0, 99, 100)])
def test_rows_come_in_the_order_of_their_keys(tmp_path, monkeypatch, block, sizes):
    monkeypatch.setattr(sorted_rows, "BLOCK", block)
    counts = random_counts(200)
    keys = np.random.default_rng(1).permutation(200) * 1_000_000_007
    keys[[3, 150]] = -1
    blocks = list(sort_rows(in_blocks(counts, keys, sizes), tmp_path))
    order = np.argsort(keys)[2:]
    found = sparse.vstack(blocks, format="csr")
    np.testing.assert_array_equal(found.toarray(), counts[order].toarray())
    assert found.dtype == np.int32
    assert all(part.has_canonical_format for part in blocks)
    assert (len(blocks) > 20) == (block < 100)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_give_no_block(tmp_path):
    counts = random_counts(4)
    assert list(sort_rows([(counts, np.full(4, -1))], tmp_path)) == []
    assert list(sort_rows([], tmp_path)) == []


def test_what_is_not_asked_for_to_its_end_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sorted_rows, "BLOCK", 10)
    sorting = sort_rows(in_blocks(random_counts(200), np.arange(200)[::-1], (200,)), tmp_path)
    assert next(sorting).shape[1] == 300
    sorting.close()
    assert list(tmp_path.iterdir()) == []
