"""The one error a user of g2m-data is meant to read."""

LONGEST = 1500
"""Characters of a message: room for two long paths."""


class InputError(ValueError):
    """A mistake in what the user handed in: one line that says what, where, what was expected, and what to do.

    Parameters
    ----------
    message
        Characters that cannot be printed, as a damaged file may hold in a name, are shown as escapes: one line it is,
        and nothing that a terminal would obey. Of a very long one the middle is left out.
    """

    def __init__(self, message: str) -> None:
        shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in message)
        super().__init__(shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 200]} … {shown[-190:]}")
