"""Settings of an evaluation; importing this never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from g2m_eval.errors import InputError


@dataclass(frozen=True, kw_only=True)
class MarkerSet:
    """Genes that are high in one region."""

    region: str
    genes: tuple[str, ...]  # symbols; upper and lower case alike, so that mouse Umod is found as human UMOD

    def __post_init__(self) -> None:
        if not self.region or not self.genes:
            raise InputError(f"markers: a region needs a name and a gene, found {self.region!r} with {self.genes!r}")


MOUSE_KIDNEY = (
    MarkerSet(region="CX", genes=("Nphs2", "Slc5a2", "Slc34a1")),
    MarkerSet(region="OSOM", genes=("Slc7a13", "Slc22a7")),
    MarkerSet(region="ISOM", genes=("Umod", "Slc12a1")),
    MarkerSet(region="IM&P", genes=("Aqp2", "Aqp3")),
    MarkerSet(region="BAT", genes=("Ucp1", "Cidea", "Plin1")),
)
"""Regions of the paper's kidneys, in the order to show, by common knowledge of kidney and brown fat."""


@dataclass(frozen=True, kw_only=True)
class SpaceSettings:
    """How the embedding space is clustered, named and shown."""

    clusters: int = 5  # of each clustering: the resolution is searched for this number (the paper's five regions)
    neighbours: int = 15  # of each spot in the graphs behind clusters and layouts (scanpy's default)
    components: int = 50  # principal components of raw expression
    training_pairs: int = 2000  # shown beside all test spots, drawn at random
    images: int = 2000  # patches of each kind (real test, real training, each generator's) that are compared and shown
    markers: tuple[MarkerSet, ...] = MOUSE_KIDNEY  # that clusters are named by

    def __post_init__(self) -> None:
        for name, least in (
            ("clusters", 2),
            ("neighbours", 2),
            ("components", 2),
            ("training_pairs", 0),
            ("images", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(f"space.{name}: expected a number from {least}, found {getattr(self, name)}")
        regions = [entry.region for entry in self.markers]
        twice = sorted({region for region in regions if regions.count(region) > 1})
        if twice:
            raise InputError(f"space.markers: region {twice[0]!r} is given twice: put its genes together")


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How generated patches are scored."""

    extractor_steps: int = 600  # optimiser updates of the metrics' own network
    train_patches: int = 12_000  # real training patches that network sees, drawn evenly
    permutations: int = 9999  # behind each p value
    kernel_subsets: int = 100  # of the kernel distance
    bootstrap: int = 1000  # resamples of spots behind each interval of fidelity, memorisation and stain
    memorisation_patches: int = 12_000  # training patches among which the nearest is looked for, drawn evenly
    memorisation_queries: int = 1000  # generated, held-out and test patches whose nearest is looked for
    space: SpaceSettings = field(default_factory=SpaceSettings)

    def __post_init__(self) -> None:
        for name in (
            "extractor_steps",
            "train_patches",
            "permutations",
            "kernel_subsets",
            "bootstrap",
            "memorisation_patches",
            "memorisation_queries",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected a positive number, found {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class PaperSettings:
    """The page of the paper's tables and figures, as the last stage of a study."""

    page: bool = False  # made by `g2m run`, with the images behind Table 1
    seeds: int = 4  # images of each test spot in Table 1: the paper's 36,528 are four of 9,132 spots
    inception: str = ""  # file of Inception's weights; "": the hub's cache, or downloaded once
    readers: str = ""  # folder of a reader study with answers, for Table 2; "": STUDY/readers, where there is one

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"seeds: expected a positive number, found {self.seeds}")


PAPERS: Mapping[str, PaperSettings] = MappingProxyType(
    {
        "paper": PaperSettings(page=True),
        "paper-code": PaperSettings(page=True),
        "base": PaperSettings(),
        "tiny": PaperSettings(),
    }
)
"""By preset; another than the paper's gets its page by `g2m eval paper`."""

PRESETS: Mapping[str, EvaluationSettings] = MappingProxyType(
    {
        # The paper's metric is FID with Inception on 36,528 images; offline, the same distance on a network of our own.
        # Copies are looked for among all pairs of a slide.
        "paper": EvaluationSettings(extractor_steps=2000, train_patches=50_000, memorisation_patches=400_000),
        "paper-code": EvaluationSettings(extractor_steps=2000, train_patches=50_000, memorisation_patches=400_000),
        "base": EvaluationSettings(extractor_steps=2000, train_patches=50_000, memorisation_patches=400_000),
        # Under a minute on two CPU cores.
        "tiny": EvaluationSettings(space=SpaceSettings(images=1000)),
    }
)
