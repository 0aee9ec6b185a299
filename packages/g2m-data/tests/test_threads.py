import threading

import pytest

from g2m_data.threads import run_ahead, run_in_threads, split


@pytest.mark.parametrize(("length", "parts", "sizes"), [(7, 2, [3, 4]), (2, 5, [1, 1]), (0, 2, []), (4, 1, [4])])
def test_parts_are_even_and_none_is_empty(length, parts, sizes):
    cut = split(length, parts)
    assert [part.stop - part.start for part in cut] == sizes
    assert [number for part in cut for number in range(part.start, part.stop)] == list(range(length))


def test_parts_run_side_by_side():
    meet = threading.Barrier(2, timeout=20)
    run_in_threads(lambda _: meet.wait() and None, split(10, 2))


def test_an_error_in_any_thread_is_the_callers_when_all_have_ended():
    done = []

    def work(part):
        done.append(part.start)
        raise ValueError(f"at {part.start}")

    with pytest.raises(ValueError, match=r"at \d"):
        run_in_threads(work, split(4, 4))
    assert sorted(done) == [0, 1, 2, 3]


def test_what_was_done_ahead_comes_in_order_and_is_not_overwritten_before_its_time():
    def work(part, buffer):
        buffer[0] = part.start
        return buffer

    parts = [slice(number, number + 1) for number in range(40)]
    for part, buffer in run_ahead(work, parts, [[None] for _ in range(4)], threads=3):
        assert buffer[0] == part.start


def test_an_error_ahead_is_raised_where_its_part_is_due():
    def work(part, buffer):
        if part.start == 2:
            raise ValueError("two")
        return part.start

    seen = []
    results = run_ahead(work, [slice(n, n + 1) for n in range(5)], [0, 0, 0], threads=2)
    with pytest.raises(ValueError, match="two"):
        seen.extend(value for _, value in results)
    assert seen == [0, 1]
