"""Settings of an interpretation; importing this never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from g2m_interpret.errors import InputError

REFERENCES = ("mean-expression", "mean-embedding")
SCORES = ("upregulated", "signed")
CASES = ("exact", "upper")
CLUSTERS = ("", "region", "joint", "samplewise")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; expected {' or '.join(repr(item) for item in allowed)}")


def _at_least(group: str, settings: object, **least: int) -> None:
    for name, bound in least.items():
        if getattr(settings, name) < bound:
            raise InputError(f"{group}.{name}: expected at least {bound}, got {getattr(settings, name)}")


@dataclass(frozen=True, kw_only=True)
class AttributionSettings:
    """Integrated gradients between two clusters."""

    reference: str = "mean-expression"  # r = e(mean expression of the reference), or the mean of its spots' embeddings
    score: str = "upregulated"  # |attribution| where the query expresses more, else 0; "signed": the attribution itself
    top_genes: int = 100  # of each pair, in the table of genes; 0 = all
    tolerance: float = 1e-5  # of completeness, relative: |sum of attributions - change of F| / |change of F|
    nodes: int = 8  # Gauss-Legendre nodes on each piece of the path
    pieces: int = 4  # of the path at first; the worst are halved until `tolerance` is met
    max_evaluations: int = 200_000  # gradients of one pair, after which its error is reported as it is
    batch_size: int = 256  # profiles in one pass through the encoder
    smooth_samples: int = 0  # SmoothGrad: noisy copies of the query to average over; 0 = none
    smooth_scale: float = 0.5  # that noise in standard deviations of each gene over the query's spots
    untrained: int = 0  # encoders of the same architecture with fresh weights to compare with

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        _one_of("reference", self.reference, REFERENCES)
        _one_of("score", self.score, SCORES)
        _at_least(
            "attribution",
            self,
            nodes=1,
            pieces=1,
            max_evaluations=1,
            batch_size=1,
            top_genes=0,
            smooth_samples=0,
            untrained=0,
        )
        if not self.tolerance > 0 or self.smooth_scale < 0:
            raise InputError(
                f"attribution.tolerance must be positive and smooth_scale at least 0, got {self.tolerance} and "
                f"{self.smooth_scale}"
            )


@dataclass(frozen=True, kw_only=True)
class EnrichmentSettings:
    """Preranked gene set enrichment of each pair's scores."""

    top_genes: int = 300  # of each pair that are ranked; 0 = all. Of 100, a set that fills most cannot stand out
    case: str = "exact"  # how symbols are matched: as written, or both in upper case (mouse genes, human sets)
    min_size: int = 1  # genes of a set among those ranked: gseapy's own 15 drops nearly every set of a list of 100
    max_size: int = 500
    permutations: int = 1000  # behind each p value
    weight: float = 1.0  # exponent of the score in the running sum
    seed: int = 1
    significance: float = 0.02  # nominal p below which a term is shown
    leading_genes: int = 4  # a term is shown if more genes than this lead

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        _one_of("case", self.case, CASES)
        _at_least("enrichment", self, top_genes=0, min_size=1, max_size=self.min_size, permutations=1, leading_genes=0)


@dataclass(frozen=True, kw_only=True)
class PerturbationSettings:
    """Regenerating with edited expression."""

    renormalise: bool = False  # bring the edited profile back to its library size, so that other genes move instead
    spots: int = 40  # at most, drawn at random
    seeds: int = 8  # noise vectors a spot, the same for every edit
    resamples: int = 1000  # bootstrap over spots and seeds
    random_sets: int = 40  # expression-matched sets behind "beyond random"
    doses: tuple[float, ...] = (0.25, 0.397, 0.63, 1.0, 1.587, 2.52, 4.0)  # folds of a dose response
    verified: int = 200  # genes at the top of a screen that are regenerated
    batch_size: int = 64  # images drawn at once

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        _at_least("perturbation", self, spots=1, seeds=1, resamples=1, random_sets=0, verified=1, batch_size=1)
        if len(self.doses) < 3 or any(dose <= 0 for dose in self.doses):
            raise InputError(f"perturbation.doses: expected at least three positive folds, got {self.doses}")


@dataclass(frozen=True, kw_only=True)
class InterpretationSettings:
    """Everything that decides an interpretation."""

    clusters: str = ""  # region, joint, samplewise (each section's own); "": region where it is known, else joint
    attribution: AttributionSettings = field(default_factory=AttributionSettings)
    enrichment: EnrichmentSettings = field(default_factory=EnrichmentSettings)
    perturbation: PerturbationSettings = field(default_factory=PerturbationSettings)

    def __post_init__(self) -> None:
        """Refuse what is not there."""
        _one_of("clusters", self.clusters, CLUSTERS)


PRESETS: Mapping[str, InterpretationSettings] = MappingProxyType(
    {
        # The paper's tables are of each section's own clusters; its text lists the steps with averaged embeddings;
        # GO:CC at p < 0.02 of the 100 top genes.
        "paper": InterpretationSettings(
            clusters="samplewise",
            attribution=AttributionSettings(reference="mean-embedding"),
            enrichment=EnrichmentSettings(case="upper", top_genes=100),
        ),
        # Its public code embeds the averaged expression.
        "paper-code": InterpretationSettings(
            clusters="samplewise", enrichment=EnrichmentSettings(case="upper", top_genes=100)
        ),
        # What we recommend: 300 genes ranked, symbols as written; what the encoder learned told from what it did not.
        "base": InterpretationSettings(attribution=AttributionSettings(untrained=3)),
        # Minutes on two CPU cores.
        "tiny": InterpretationSettings(
            attribution=AttributionSettings(untrained=3),
            perturbation=PerturbationSettings(spots=10, seeds=2, random_sets=20, verified=50, resamples=500),
        ),
    }
)
