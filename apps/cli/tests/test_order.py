import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from g2m_cli.order import PairOrder, mix


@given(pairs=st.integers(1, 40), seed=st.integers(0, 5), first=st.integers(0, 100), count=st.integers(1, 60))
def test_any_slice_equals_the_same_slice_of_the_whole_sequence(pairs, seed, first, count):
    whole = PairOrder(pairs, seed).indices(0, 200)
    assert (PairOrder(pairs, seed).indices(first, count) == whole[first : first + count]).all()


def test_every_epoch_holds_each_pair_once_in_another_order():
    order = PairOrder(50, seed=3)
    first, second = order.indices(0, 50), order.indices(50, 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()


def test_keys_are_distinct_non_negative_and_depend_on_the_seed():
    keys = PairOrder(10, seed=0).keys(0, 10_000)
    assert len(np.unique(keys)) == 10_000
    assert keys.min() >= 0
    assert (keys != PairOrder(10, seed=1).keys(0, 10_000)).all()


def test_neighbouring_numbers_give_unrelated_keys():
    bits = np.unpackbits(mix(np.arange(2000, dtype=np.uint64), 0).view(np.uint8).reshape(2000, 8), axis=1)
    assert abs(bits[:, :63].mean() - 0.5) < 0.03
