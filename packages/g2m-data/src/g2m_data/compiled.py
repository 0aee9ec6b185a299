"""Compiled loops. Numba takes half a second to import: only modules that hold such loops import this one."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function at its first call, and keep what was compiled for later processes.

    It runs outside Python's lock, so that threads run side by side; Numba's own threads are not used, because they do
    not survive a fork and heed none of the settings by which users tell libraries how many to use.
    """
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder to keep it in: read-only disks
        return cast(F, numba.njit(nogil=True)(function))
