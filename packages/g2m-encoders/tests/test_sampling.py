import numpy as np

from g2m_encoders import choose_pairs


def test_pairs_are_distinct_sorted_and_follow_the_seed():
    chosen = choose_pairs(1000, 100, seed=3)
    assert len(np.unique(chosen)) == 100
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, choose_pairs(1000, 100, seed=3))
    assert not np.array_equal(chosen, choose_pairs(1000, 100, seed=4))


def test_all_pairs_are_kept_without_a_limit_or_below_it():
    assert np.array_equal(choose_pairs(7, None, seed=0), np.arange(7))
    assert np.array_equal(choose_pairs(7, 10, seed=0), np.arange(7))
