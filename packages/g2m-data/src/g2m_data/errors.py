"""The one error a user of g2m-data is meant to read."""


class InputError(ValueError):
    """A mistake in what the user handed in: one line that says what, where, what was expected, and what to do."""
