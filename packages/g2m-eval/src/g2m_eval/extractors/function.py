"""Any function of images as an extractor: UNI, Phikon, a timm backbone, a model of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from g2m_eval.errors import InputError


class FunctionExtractor:
    """A callable under a name.

    Parameters
    ----------
    name
        What tells its numbers from those of others: architecture, weights (a hash, a revision), input size.
    function
        Is called with a numpy array, uint8 ``(n, height, width, 3)``, RGB, with n at most ``batch_size`` and of the
        size that the images have; resizing, normalising and moving to a device are its own. It returns finite
        features, one row an image: ``(n, dim)``, an array or a torch tensor on any device.
    batch_size
        Images a call.
    """

    def __init__(self, name: str, function: Callable[[np.ndarray], Any], *, batch_size: int = 64) -> None:
        if not name.strip() or batch_size < 1:
            raise InputError(f"an extractor needs a name and batches of 1 or more, got {name!r} and {batch_size}")
        self._name = name
        self.function = function
        self.batch_size = batch_size

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @torch.inference_mode()
    def features(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[np.ndarray, "n dim"]:
        """Features (float32), a batch at a time.

        Raises
        ------
        InputError
            The function returned something else than a row of finite numbers for each image.
        """
        if not len(images):
            raise InputError(f"extractor {self.name!r} was given no images: hand in at least one")
        starts = range(0, len(images), self.batch_size)
        parts = [self._call(images[start : start + self.batch_size]) for start in starts]
        widths = {part.shape[1] for part in parts}
        if len(widths) > 1:
            raise InputError(f"extractor {self.name!r} returned rows of different lengths {sorted(widths)}: mend it")
        return np.concatenate(parts)

    def _call(self, batch: UInt8[np.ndarray, "n height width 3"]) -> Float[np.ndarray, "n dim"]:
        returned = self.function(batch)
        if isinstance(returned, torch.Tensor):
            returned = returned.detach().float().cpu().numpy()
        try:
            found = np.asarray(returned, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"extractor {self.name!r} returned {type(returned).__name__}: return an array (n, dim)"
            ) from error
        if found.ndim != 2 or len(found) != len(batch) or not found.shape[1]:
            raise InputError(
                f"extractor {self.name!r} returned shape {found.shape} for {len(batch)} images: return one row of "
                "features for each, (n, dim); pool maps and tokens first"
            )
        if not np.isfinite(found).all():
            raise InputError(f"extractor {self.name!r} returned NaN or infinity: check its weights and normalisation")
        return found
