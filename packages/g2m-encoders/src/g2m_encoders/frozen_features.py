"""Features of a frozen backbone, computed once for patches that come again at every evaluation."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

_MOST_BYTES = 64 * 2**20  # 512 pairs of UNI's 1024 features take 2 MiB


class FrozenFeatures:
    """Batches' features by the keys of their pairs, kept on their device up to a number of bytes.

    Parameters
    ----------
    most_bytes
        Of all features; batches that come when it is reached are computed anew each time.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._kept: dict[bytes, Tensor] = {}

    def get(
        self,
        keys: Int64[Tensor, " batch"],
        patches: UInt8[Tensor, "batch 3 height width"],
        compute: Callable[[], Float[Tensor, "batch feature"]],
    ) -> Float[Tensor, "batch feature"]:
        """What `compute` gives for these patches, now or earlier."""
        name = _name(keys, patches)
        if name in self._kept:
            return self._kept[name]
        features = compute()
        held = sum(kept.nbytes for kept in self._kept.values())
        if held + features.nbytes <= self.most_bytes:
            self._kept[name] = features
        return features


def _name(keys: Int64[Tensor, " batch"], patches: UInt8[Tensor, "batch 3 height width"]) -> bytes:
    """The keys, and the patches' sums: two sets of pairs may number theirs alike."""
    sums = patches.flatten(1).sum(dim=1)
    return torch.stack([keys.to(sums.device), sums]).cpu().numpy().tobytes()
