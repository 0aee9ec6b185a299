import threading
import time

import pytest

from g2m_data import ahead
from g2m_data.ahead import map_ahead


def test_results_come_in_order_and_few_items_are_taken_ahead(monkeypatch):
    monkeypatch.setattr(ahead, "spare_threads", lambda: 3)
    taken = []

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    def work(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    for number, result in enumerate(map_ahead(work, items())):
        assert result == number**2
        assert len(taken) <= number + 4


def test_error_comes_where_its_result_would_and_ends_the_work(monkeypatch):
    monkeypatch.setattr(ahead, "spare_threads", lambda: 2)
    done = []

    def work(item):
        if item == 3:
            raise ValueError("three")
        done.append(item)
        return item

    results = map_ahead(work, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert max(done) < 10


def test_threads_are_gone_when_the_caller_stops_early():
    before = threading.active_count()
    results = map_ahead(lambda item: item, range(100))
    next(results)
    results.close()
    assert threading.active_count() == before
