"""What a distance between two sets of patches depends on: numbers that differ in any of it are not compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

STATISTICS = (
    "Fréchet: mean and unbiased covariance; kernel: unbiased MMD², (x·y / dim + 1)³, subsets; "
    "precision, recall: 3 nearest neighbours; density, coverage: 5"
)
TEST_SPOTS = "real patches of the test spots"
TRAINING_SLIDE = "random tissue patches of the training sections"
TOOK_PART = "took part in training the generator"


@dataclass(frozen=True, kw_only=True)
class DistanceProtocol:
    """How distances were computed.

    Attributes
    ----------
    extractor
        Name of the network.
    resolution
        Pixels a side of the patches handed to it.
    resize
        How patches came to that size, and to the network's own.
    n_generated, n_reference
        Images on either side.
    reference
        What generated patches are compared with: "real patches of the test spots".
    reference_hash
        Of the reference patches' content.
    seed
        Of subsets and resamples.
    statistics
        Definitions.
    took_part
        Whether the generator was trained with the help of this network, and may please it more than anyone's eye.
    inception
        Whether the network is Inception-v3 with the published weights: only then are distances called FID and KID.
    """

    extractor: str
    resolution: int
    resize: str
    n_generated: int
    n_reference: int
    reference: str
    reference_hash: str
    seed: int
    statistics: str = STATISTICS
    took_part: bool = False
    inception: bool = False

    @property
    def frechet_name(self) -> str:
        """Name of the Fréchet distance under this protocol."""
        return "FID" if self.inception else "Fréchet distance"

    @property
    def kernel_name(self) -> str:
        """Name of the kernel distance under this protocol."""
        return "KID" if self.inception else "kernel distance"

    @property
    def network(self) -> str:
        """The extractor's name, and what has to be known about it."""
        return f"{self.extractor} ({TOOK_PART})" if self.took_part else self.extractor

    def __str__(self) -> str:
        return (
            f"{self.n_generated:,} generated and {self.n_reference:,} {self.reference}, {self.resolution} px, "
            f"{self.network}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give what ``metrics.json`` holds."""
        return asdict(self)
