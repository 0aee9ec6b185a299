"""What a model draws, and for what: keyed random numbers and the names of their streams."""

from enum import IntEnum

from g2m_diffusion.keyed_random import draw_normal, draw_uniform

__all__ = ["Stream", "draw_normal", "draw_uniform"]


class Stream(IntEnum):
    """What a draw is for; streams of one key are independent."""

    NOISE = 1  # what is mixed into a code
    TIME = 2  # how much of it
    DROP = 3  # whether the condition gives way to the null embedding
    VIEW = 4  # which way the patch is turned
    POSTERIOR = 5  # which latent an autoencoder's posterior gives
    START = 6  # where sampling starts
