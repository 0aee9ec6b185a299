"""What a user can get wrong, and how it is told."""

from __future__ import annotations


class InputError(ValueError):
    """A user's mistake: one line that says what, where and what to do. The command ends with exit code 2."""


def is_user_error(error: BaseException) -> bool:
    """Whether an exception is a library's or our own ``InputError``.

    The libraries do not share a base class, and importing all of them only to name their errors would cost every
    command their start-up time; each calls its class ``InputError``.
    """
    return any(base.__name__ == "InputError" and base.__module__.startswith("g2m_") for base in type(error).__mro__)
