"""What the paper published, to stand beside a study's own numbers.

Lohmann, Valdeolivas, Vasiljević, *Connecting Gene Expression and Tissue Morphology with Conditional Generative Models*.
The sources named here (R1, A4, …) are the numbers of ``docs/paper_map.md``. Nothing in this module is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

PUBLISHED_IMAGES = 36_528
"""Generated images behind Table 1 (R1)."""


@dataclass(frozen=True, kw_only=True)
class PublishedQuality:
    """One row of Table 1 (R1): distances by Inception; KID as mean and SD over subsets."""

    generator: str
    model: str | None
    """Name of such a generator's images in a study: ``gan``, ``sd-w3``; None where this repository has none."""
    fid: float
    kid: float | None = None
    kid_sd: float | None = None
    at_least: bool = False
    """``fid`` is a lower bound."""


QUALITY = (
    PublishedQuality(generator="StyleGAN-G", model="gan", fid=18.41, kid=0.0127, kid_sd=0.0015),
    PublishedQuality(generator="Stable Diffusion, w = 1", model="sd-w1", fid=84.28, kid=0.0666, kid_sd=0.0035),
    PublishedQuality(generator="Stable Diffusion, w = 3", model="sd-w3", fid=78.99, kid=0.0784, kid_sd=0.0043),
    PublishedQuality(generator="Stable Diffusion, w = 7", model="sd-w7", fid=84.69, kid=0.0925, kid_sd=0.0045),
    PublishedQuality(generator="RNA-GAN", model=None, fid=83.89),
    PublishedQuality(generator="MorphoDiff", model=None, fid=78, at_least=True),
)
"""Table 1. The last two are other works, which the paper gives for comparison."""

READERS = 10
READER_IMAGES = 50
READER_SCORES = {"accuracy": (0.486, 0.095), "precision": (0.492, 0.096), "recall": (0.488, 0.111)}
"""Table 2 (R4): mean and SD over ten veterinary pathologists, who saw 50 images, real and StyleGAN-G's."""

REGIONS = {
    "CX": "cortex",
    "OSOM": "outer stripe of the outer medulla",
    "ISOM": "inner stripe of the outer medulla",
    "IM&P": "inner medulla & papilla",
    "BAT": "brown adipose tissue",
}
"""The five clusters of Figure 3 (R5)."""

AGREEMENT = {
    "ari_joint_vs_samplewise": 0.79,
    "ari_joint_vs_samplewise_pooled": 0.79,
    "ari_joint_vs_sample": 0.005,
    "ari_expression_vs_sample": 0.588,
}
"""Adjusted Rand indices of Figure E.1 (R6), under the names of ``clusters.*`` in a report's ``metrics.json``.

The paper does not say whether its 0.79 is a mean over sections or one index of all spots: it stands beside both.
"""

PAIRS = {1: 3124, 2: 1490, 3: 1670, 4: 1421, 5: 1427}
"""Spots of each test sample (A4); 9,132 in all, and four images for each make those of Table 1."""

ENRICHMENT_SAMPLES = {"Table 3": 4, "Table F.1": 2, "Table F.2": 3, "Table F.3": 5}
"""Test sample of each table of enrichment; the numbers follow the order in which R9 lists the samples."""


@dataclass(frozen=True, kw_only=True)
class PublishedTerm:
    """One row of Tables 3 and F.1 to F.3 (R9): a GO Cellular Component term between two clusters of a sample."""

    sample: int
    term: str
    nes: float
    query: str
    reference: str


def _terms(sample: int, *rows: tuple[str, float, str, str]) -> tuple[PublishedTerm, ...]:
    return tuple(PublishedTerm(sample=sample, term=t, nes=n, query=q, reference=r) for t, n, q, r in rows)


ENRICHMENT = (
    *_terms(
        4,
        ("Lipid Droplet", 1.710422, "BAT", "IM&P"),
        ("Basolateral Plasma Membrane", 1.702832, "CX", "BAT"),
        ("Basolateral Plasma Membrane", 1.660759, "CX", "OSOM"),
        ("Endoplasmic Reticulum Lumen", 2.098712, "IM&P", "OSOM"),
        ("Intracellular Organelle Lumen", 2.002516, "IM&P", "OSOM"),
        ("Collagen-Containing Extracellular Matrix", 1.936724, "IM&P", "OSOM"),
    ),
    *_terms(
        2,
        ("Intracellular Membrane-Bounded Organelle", 1.852065, "IM&P", "CX"),
        ("Basolateral Plasma Membrane", 1.631743, "IM&P", "BAT"),
        ("Basolateral Plasma Membrane", 1.661647, "CX", "OSOM"),
        ("Endoplasmic Reticulum Lumen", 1.951187, "IM&P", "OSOM"),
        ("Intracellular Organelle Lumen", 1.729963, "IM&P", "OSOM"),
    ),
    *_terms(
        3,
        ("Vesicle", -1.853656, "BAT", "OSOM"),
        ("Intracellular Organelle Lumen", 1.78486, "BAT", "OSOM"),
        ("Endoplasmic Reticulum Lumen", 1.703005, "IM&P", "OSOM"),
        ("Basolateral Plasma Membrane", 1.918574, "IM&P", "CX"),
        ("Nucleus", 1.852569, "IM&P", "CX"),
        ("Intracellular Membrane-Bounded Organelle", 1.700012, "IM&P", "CX"),
        ("Basolateral Plasma Membrane", 1.701396, "IM&P", "BAT"),
        ("Nucleus", -1.687745, "ISOM", "IM&P"),
    ),
    *_terms(
        5,
        ("Endoplasmic Reticulum Lumen", 1.937943, "IM&P", "OSOM"),
        ("Intracellular Organelle Lumen", 1.72107, "IM&P", "OSOM"),
        ("Basolateral Plasma Membrane", 1.938538, "IM&P", "CX"),
        ("Nucleus", -1.677389, "ISOM", "IM&P"),
    ),
)
"""Tables 3 and F.1 to F.3, sample by sample as R9 lists them."""


def published_quality() -> pd.DataFrame:
    """Give Table 1 (R1).

    Returns
    -------
    Columns: generator, model (its name in a study or None), published FID and published KID as text (mean and SD,
    "≥" before a bound), published N images (missing where it is not known).
    """
    table = pd.DataFrame(
        {
            "generator": row.generator,
            "model": row.model,
            "published FID": f"{'≥ ' if row.at_least else ''}{row.fid:g}",
            "published KID (SD)": None if row.kid is None else f"{row.kid:.4f} ({row.kid_sd:.4f})",
            "published N": PUBLISHED_IMAGES if row.model else None,
        }
        for row in QUALITY
    )
    return table.astype({"published N": "Int64"})


def published_readers() -> pd.DataFrame:
    """Give Table 2 (R4): columns measure, published mean, published SD."""
    return pd.DataFrame(
        {"measure": name, "published mean": mean, "published SD": sd} for name, (mean, sd) in READER_SCORES.items()
    )


def published_agreement() -> pd.DataFrame:
    """Give the indices of Figure E.1 (R6): columns name (as in ``clusters.*``), published."""
    return pd.DataFrame({"name": list(AGREEMENT), "published": list(AGREEMENT.values())})


def published_enrichment(number: str) -> pd.DataFrame:
    """Give Table 3, F.1, F.2 or F.3 (R9): columns term, NES, query cluster, reference cluster.

    Parameters
    ----------
    number
        "Table 3", "Table F.1", …

    Raises
    ------
    KeyError
        The paper has no such table of enrichment.
    """
    sample = ENRICHMENT_SAMPLES[number]
    return pd.DataFrame(
        {"term": row.term, "NES": row.nes, "query cluster": row.query, "reference cluster": row.reference}
        for row in ENRICHMENT
        if row.sample == sample
    )
