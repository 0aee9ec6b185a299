"""An encoder that has learned nothing, to hold a trained one's attributions against."""

from __future__ import annotations

import copy

import torch
from torch import nn

from g2m_interpret.errors import InputError


def freshly_initialised(encoder: nn.Module, seed: int) -> nn.Module:
    """Give a copy of a module on the CPU whose weights are drawn anew, as if it had never been trained.

    What attributions of such an encoder find, the data and the architecture gave away by themselves; the trained one
    has learned no more than what it finds beyond (Adebayo et al. 2018, Sanity checks for saliency maps).

    Parameters
    ----------
    encoder
        Whose layers initialise themselves (`reset_parameters`), as torch's own do.
    seed
        On which alone the weights depend; the caller's random state is left as it is.

    Raises
    ------
    InputError
        A layer has weights and no way to draw them anew.
    """
    fresh = copy.deepcopy(encoder).cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in fresh.modules():
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
            elif [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
                raise InputError(
                    f"{type(module).__name__} has weights but no reset_parameters, so it cannot be had untrained: set "
                    "attribution.untrained to 0"
                )
    return fresh
