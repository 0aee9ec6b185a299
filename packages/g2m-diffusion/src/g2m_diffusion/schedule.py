"""Learning rates by images seen."""


def learning_rate(
    lr: float, images_seen: int | float, total_images: int, warmup_images: int, decay_share: float
) -> float:
    """A linear rise from 0, a plateau, a linear fall to 0.

    Parameters
    ----------
    lr
        The plateau's.
    images_seen
        Where in the training; the middle of a batch (half of it counted as seen) wastes neither the first update nor
        the last.
    total_images
        Images seen in training; from there on the rate is 0 if it falls at all.
    warmup_images
        Images over which it rises; 0: not at all.
    decay_share
        Last share of the images over which it falls; 0: not at all.
    """
    rise = images_seen / warmup_images if warmup_images else 1.0
    fall = (total_images - images_seen) / (decay_share * total_images) if decay_share else 1.0
    return lr * max(0.0, min(rise, fall, 1.0))
