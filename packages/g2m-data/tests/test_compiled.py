import numba

from g2m_data.compiled import compiled


def test_code_that_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    asked, njit = [], numba.njit

    def refuse_to_keep(**options):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refuse_to_keep)
    assert compiled(lambda number: number + 1)(2) == 3
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
