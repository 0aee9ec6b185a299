"""What a model draws, and for what: keyed random numbers and the names of their streams."""

from enum import IntEnum

from g2m_gan.keyed_random import draw_normal, draw_uniform

__all__ = ["Stream", "draw_normal", "draw_uniform"]


class Stream(IntEnum):
    """What a draw is for; streams of one key are independent."""

    LATENT = 1  # z and per-pixel noise of an image that is kept
    DISCRIMINATOR_LATENT = 2
    GENERATOR_LATENT = 3
    REAL_VIEW = 4
    DISCRIMINATOR_VIEW = 5
    GENERATOR_VIEW = 6
    CROP = 7
    MEAN = 8
