"""What this package raises and warns of when something handed in is not right."""


class InputError(ValueError):
    """A mistake in what was handed in; the message is one line saying what, where, and what to do."""


class OutsideTraining(UserWarning):
    """Expression unlike anything the models were trained on: what they draw from it is a guess."""
