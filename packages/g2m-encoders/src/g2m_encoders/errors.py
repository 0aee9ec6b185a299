class InputError(ValueError):
    """A mistake its user can repair: one line that says what, where, what was expected and what to do."""
