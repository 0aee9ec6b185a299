from types import SimpleNamespace

import numba

from g2m_data import compiled as module


def test_code_that_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    asked = []

    def refuse_to_keep(**options):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(module, "numba", SimpleNamespace(njit=refuse_to_keep))
    assert module.compiled(lambda number: number + 1)(2) == 3
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
