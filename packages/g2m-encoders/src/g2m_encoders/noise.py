"""What training draws, and for what: keyed random numbers and the names of their streams."""

from enum import IntEnum

from g2m_encoders.keyed_random import draw_normal, draw_uniform

__all__ = ["Stream", "draw_normal", "draw_uniform"]


class Stream(IntEnum):
    """What a draw is for; streams of one key are independent."""

    VIEW = 1  # which way the patch is turned, and its colours
    EXPRESSION_DROPOUT = 2
    IMAGE_DROPOUT = 3
    GENE_DROPOUT = 4  # which genes are read as 0
    COUNTS = 5  # what each gene's counts are multiplied by
