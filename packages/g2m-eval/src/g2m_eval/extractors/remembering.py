"""An extractor that looks at each image once, however often and in whatever company it is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from g2m_eval.extractors.small import SmallExtractor


class RememberingExtractor:
    """The metrics' own network with a memory for features and regions, by the content of images.

    One report asks about the same real and generated patches for distances, regions, fidelity and memorisation.

    Parameters
    ----------
    extractor
        What looks.
    most
        Images that are remembered of each kind; later ones are looked at anew. 100,000 take some 130 MB.
    """

    def __init__(self, extractor: SmallExtractor, *, most: int = 100_000) -> None:
        self.extractor = extractor
        self.most = most
        self._features: dict[bytes, np.ndarray] = {}
        self._regions: dict[bytes, np.ndarray] = {}

    @property
    def name(self) -> str:
        """Of the extractor."""
        return self.extractor.name

    @property
    def resolution(self) -> int:
        """Pixels a side to which images are brought first."""
        return self.extractor.resolution

    @property
    def classes(self) -> tuple[str, ...]:
        """Regions it can name."""
        return self.extractor.classes

    def features(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[np.ndarray, "n dim"]:
        """Features (float32) of images of any one size."""
        return self._recall(images, self._features, self.extractor.features)

    def predict(self, images: UInt8[np.ndarray, "n height width 3"]) -> np.ndarray:
        """Most likely region of each image, as of `SmallExtractor.predict`."""
        return self._recall(images, self._regions, self.extractor.predict)

    def _recall(
        self,
        images: UInt8[np.ndarray, "n height width 3"],
        known: dict[bytes, np.ndarray],
        look: Callable[[UInt8[np.ndarray, "m height width 3"]], np.ndarray],
    ) -> np.ndarray:
        size = repr(images.shape[1:]).encode()
        keys = [hashlib.blake2b(image.tobytes(), digest_size=16, salt=size[:16]).digest() for image in images]
        new = [place for place, key in enumerate(keys) if key not in known]
        looked = look(images if len(new) == len(images) else images[new])
        fresh = {keys[place]: row for place, row in zip(new, looked, strict=True)}
        found = looked if len(new) == len(images) else np.array([fresh[k] if k in fresh else known[k] for k in keys])
        for key, row in list(fresh.items())[: max(0, self.most - len(known))]:
            known[key] = row.copy()
        return found
