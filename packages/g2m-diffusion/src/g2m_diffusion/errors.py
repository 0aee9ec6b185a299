"""What goes wrong for reasons a user can mend."""


class InputError(ValueError):
    """A setting, file or array that cannot be used; the message says which, and what to do."""
