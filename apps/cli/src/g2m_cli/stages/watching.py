"""Evaluation on a section held out, while a stage trains."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from g2m_cli.console import say

if TYPE_CHECKING:
    from g2m_cli.settings import LoopSettings
    from g2m_cli.task import PairSource


def watched(loop: LoopSettings, total_images: int, validation: PairSource | None, *, main: bool) -> LoopSettings:
    """Give the loop of one stage; where evaluations are wanted and no section is held out, say so.

    Parameters
    ----------
    loop
        As the settings have it.
    total_images
        Images of the stage.
    validation
        Pairs to evaluate on, if there are any.
    main
        Whether this process speaks for all.
    """
    if validation is not None:
        return loop.over(total_images)
    if main and loop.over(total_images).evaluate_images:
        tell_that_none_is_held_out()
    return loop


@cache  # once, however many stages a command trains
def tell_that_none_is_held_out() -> None:
    """Say what would let training be judged on the way."""
    say(
        'no sample has split = "validation": training is not evaluated on the way, and whether it has converged cannot '
        "be seen in metrics.jsonl"
    )
