"""What this package raises when its caller made a mistake."""


class InputError(ValueError):
    """A mistake in what was handed in; the message is one line saying what, where, and what to do."""
