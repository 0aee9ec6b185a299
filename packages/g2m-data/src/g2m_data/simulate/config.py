"""What a phantom study consists of: its sections, its panel, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class SectionPlan:
    """One section: how the organ was cut, scanned, stained and sequenced."""

    id: str
    platform: Literal["visium-hd", "visium"]
    split: Literal["train", "validation", "test"]
    cut: Literal["coronal", "transverse"]
    tissue_um: tuple[float, float]
    """Width and height of the tissue's bounding box."""
    bands: Vector
    """Outer edges of IM&P, ISOM and OSOM, as shares of the way from the papilla to the capsule."""
    fat_side: Literal["left", "right", "top", "bottom"]
    fat_share: float
    """Share of the box's depth, on that side, that brown fat may take."""
    mpp: float
    """Scanner's resolution, microns per pixel."""
    rotation_deg: float
    """Array against image."""
    flip_rows: bool = False
    flip_columns: bool = False
    layout: Literal["hd", "spaceranger1", "spaceranger2"] = "spaceranger2"
    array_bins: int | None = None
    """Bins along each side of a whole Visium HD array; None lays as many as the slide has room for."""
    depth: float
    """Mean counts per 2 um bin (Visium HD) or per spot (Visium)."""
    haematoxylin: Vector = (0.5626, 0.7201, 0.4062)
    """Optical density of unit concentration in red, green, blue; scaled to unit length before use."""
    eosin: Vector = (0.2159, 0.8012, 0.5581)
    strength: tuple[float, float] = (1.0, 1.0)
    """How strongly the laboratory stained: haematoxylin, eosin."""
    white: Vector = (243.0, 242.0, 244.0)
    """Colour of empty glass, 0-255."""


@dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """A whole phantom study."""

    sections: tuple[SectionPlan, ...]
    genes: int
    """Genes common to all sections."""
    margin_um: float
    """Empty glass around the tissue."""
    smoothness_um: float
    """SD of the Gaussian that smooths the factors' fields; at twice this distance their correlation is 1/e."""
    holes: int
    """Tears in the tissue, per section."""
    private_genes: int
    """Genes that only one platform measures, per platform."""
    batch_sd: float = 0.35
    """Of a gene's log efficiency between sections."""
    decoys: int = 300
    """Gene sets without a meaning in the GMT file."""
    whole_slide: bool = False
    """For scale tests: bin counts drawn in time that grows with the molecules only, and HDF5 at gzip level 4, as Space
    Ranger writes it. Other presets keep the draws and the quick compression that they have always had."""


_HD = SectionPlan(
    id="hd1",
    platform="visium-hd",
    split="train",
    cut="coronal",
    tissue_um=(2450.0, 2050.0),
    bands=(0.47, 0.64, 0.81),
    fat_side="left",
    fat_share=0.20,
    mpp=0.4523,
    rotation_deg=1.3,
    flip_rows=True,
    layout="hd",
    depth=8.0,
)
_WHOLE = replace(  # the genes, bins and slide of a real section
    _HD,
    tissue_um=(6500.0, 6440.0),
    mpp=0.2738,
    rotation_deg=0.5,
    array_bins=3350,
    depth=24.0,
)
_VISIUM = (
    SectionPlan(
        id="visium1",
        platform="visium",
        split="test",
        cut="coronal",
        tissue_um=(2750.0, 2150.0),
        bands=(0.44, 0.64, 0.82),
        fat_side="right",
        fat_share=0.17,
        mpp=0.5011,
        rotation_deg=-2.1,
        layout="spaceranger1",
        depth=11000.0,
        haematoxylin=(0.61, 0.69, 0.38),
        eosin=(0.17, 0.86, 0.48),
        strength=(1.12, 0.86),
        white=(246.0, 243.0, 240.0),
    ),
    SectionPlan(
        id="visium2",
        platform="visium",
        split="test",
        cut="transverse",
        tissue_um=(2600.0, 2350.0),
        bands=(0.52, 0.69, 0.83),
        fat_side="top",
        fat_share=0.16,
        mpp=0.4187,
        rotation_deg=2.7,
        flip_columns=True,
        depth=4200.0,
        haematoxylin=(0.54, 0.73, 0.42),
        eosin=(0.26, 0.78, 0.57),
        strength=(0.84, 1.18),
        white=(240.0, 241.0, 245.0),
    ),
    SectionPlan(
        id="visium3",
        platform="visium",
        split="test",
        cut="transverse",
        tissue_um=(2500.0, 2500.0),
        bands=(0.46, 0.66, 0.81),
        fat_side="bottom",
        fat_share=0.20,
        mpp=0.5429,
        rotation_deg=0.8,
        depth=7300.0,
        haematoxylin=(0.58, 0.70, 0.42),
        eosin=(0.12, 0.80, 0.59),
        strength=(1.02, 1.12),
        white=(238.0, 236.0, 241.0),
    ),
)

_TINY_UM = {"hd1": (620.0, 520.0), "visium1": (900.0, 720.0), "visium2": (820.0, 800.0), "visium3": (800.0, 840.0)}

PRESETS: dict[str, PhantomSettings] = {
    # plumbing: seconds; regions are too thin to score anything
    "tiny": PhantomSettings(
        sections=tuple(replace(plan, tissue_um=_TINY_UM[plan.id]) for plan in (_HD, *_VISIUM)),
        genes=300,
        margin_um=70.0,
        smoothness_um=50.0,
        holes=1,
        private_genes=8,
        decoys=40,
    ),
    # the exam of `g2m demo`: about 950,000 bins and 1,500 spots
    "demo": PhantomSettings(
        sections=(_HD, *_VISIUM), genes=2000, margin_um=160.0, smoothness_um=90.0, holes=4, private_genes=40
    ),
    # scale: half the side of a whole section and the same density; the small Visium section makes it runnable
    "quarter": PhantomSettings(
        sections=(replace(_WHOLE, tissue_um=(3270.0, 3240.0), array_bins=1675), _VISIUM[0]),
        genes=18_248,
        margin_um=80.0,
        smoothness_um=90.0,
        holes=6,
        private_genes=0,
        whole_slide=True,
    ),
    # scale: one whole 6.5 mm section, to be built rather than learnt from
    "full": PhantomSettings(
        sections=(_WHOLE,),
        genes=18_248,
        margin_um=160.0,
        smoothness_um=90.0,
        holes=12,
        private_genes=0,
        whole_slide=True,
    ),
}
