import pytest

from g2m_diffusion.schedule import learning_rate


@pytest.mark.parametrize(
    ("seen", "expected"),
    [(0, 0.0), (50, 0.5), (100, 1.0), (400, 1.0), (500, 1.0), (750, 0.5), (1000, 0.0), (1200, 0.0)],
)
def test_the_rate_rises_stays_and_falls(seen, expected):
    assert learning_rate(2.0, seen, 1000, 100, 0.5) == pytest.approx(2 * expected)


def test_without_rise_and_fall_it_is_constant():
    assert {learning_rate(0.1, seen, 1000, 0, 0.0) for seen in (0, 500, 1000, 5000)} == {0.1}


def test_a_short_training_neither_overshoots_nor_fails():
    assert max(learning_rate(1.0, seen, 100, 1000, 0.5) for seen in range(101)) <= 0.1
