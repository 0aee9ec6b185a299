"""Which genes the phantom expresses where: regions, cell types, and the genes that drive each factor."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from g2m_data.simulate.anatomy import FACTORS, REGIONS
from g2m_data.simulate.config import PhantomSettings

WINDOW_COUNTS = 27 * 27 * 8.0
"""Mean counts of a 27 x 27 window before a section's depth and batch."""
CELL_SHARES = {  # relative to the cell type's own level, by region
    "podocyte": (0.02, 0.02, 0.02, 0.02, 0.01),
    "endothelium": (1.0, 0.8, 1.6, 1.2, 0.9),
    "pericyte": (0.7, 0.6, 0.9, 1.5, 0.8),
    "intercalated": (0.7, 0.3, 0.5, 1.6, 0.02),
    "macrophage": (0.8, 0.8, 0.9, 1.0, 1.3),
}
# Genes of a factor that only some regions draw are quieter elsewhere.
ELSEWHERE = {"droplet_size": 0.12, "collagen": 0.25}
# Of the whole vocabulary, much is hardly expressed in a kidney, and the rest of the background is together no louder
# than this many genes: the programmes are about half of all molecules, as in smaller panels.
QUIET, BACKGROUND_GENES = 0.02, 2000
_UNLIKELY = (
    "Gm",
    "Olfr",
    "Vmn",
    "Tas",
    "Defb",
    "Krtap",
    "Taar",
    "Mup",
    "BC",
    "AI",
    "Ig",
    "Trb",
    "Tra",
    "Speer",
    "Skint",
)


@dataclass(frozen=True)
class Panel:
    """Genes of the study and how they are expressed; arrays are over `genes`, then `private`."""

    genes: tuple[str, ...]
    """Common to all sections."""
    private: dict[str, tuple[str, ...]]
    """Platform -> genes that only it measures."""
    profile: npt.NDArray[np.float64]
    """(region, gene) mean counts per window."""
    tuft: npt.NDArray[np.float64]
    """(gene,) the same inside a glomerulus."""
    factor: npt.NDArray[np.int64]
    """(gene,) index into FACTORS, -1 for none."""
    effect: npt.NDArray[np.float64]
    """(gene,) log fold per SD of the factor."""
    sets: dict[str, tuple[str, tuple[str, ...]]]
    """Gene set -> description and genes."""

    @property
    def every_gene(self) -> tuple[str, ...]:
        """Common genes, then each platform's own."""
        return self.genes + tuple(gene for genes in self.private.values() for gene in genes)


def read_vocabulary() -> list[str]:
    """The 18,248 mouse symbols common to both platforms, in the order published models use."""
    return (files("g2m_data") / "resources" / "gene_vocab.txt").read_text().split()


def choose_panel(settings: PhantomSettings, seed: int) -> Panel:
    """Draw the study's genes: curated programmes first, the rest background, in a shuffled order."""
    rng = np.random.default_rng([seed, 101])
    table = tomllib.loads((files("g2m_data") / "resources" / "phantom_programmes.toml").read_text())
    curated = {
        (group, name): (entry["about"], entry["up"].split(), entry.get("down", "").split())
        for group, entries in table.items()
        for name, entry in entries.items()
    }
    total = sum(len(up) + len(down) for _, up, down in curated.values())
    share = min(1.0, 0.7 * settings.genes / total)
    lists = {key: (about, _first(up, share), _first(down, share)) for key, (about, up, down) in curated.items()}
    used = {gene for _, up, down in curated.values() for gene in up + down}
    whole = settings.genes == len(read_vocabulary())
    likely = [gene for gene in read_vocabulary() if gene not in used and (whole or _is_likely(gene))]
    programme = [gene for _, up, down in lists.values() for gene in up + down]
    extra = 2 * settings.private_genes
    background = [str(gene) for gene in rng.choice(likely, settings.genes - len(programme) + extra, replace=False)]
    genes = [str(gene) for gene in rng.permutation(programme + background[extra:])]
    private = {
        "visium-hd": tuple(background[: settings.private_genes]),
        "visium": tuple(background[settings.private_genes : extra]),
    }
    everything = genes + [gene for names in private.values() for gene in names]
    index = {gene: position for position, gene in enumerate(everything)}
    profile, tuft, factor, effect = _express(lists, index, _loudness(everything, used), rng)
    sets = {
        f"PHANTOM_{group.upper()}_{name.upper().replace('&', 'AND')}": (about, tuple(up + down))
        for (group, name), (about, up, down) in lists.items()
    }
    return Panel(tuple(genes), private, profile, tuft, factor, effect, sets | _decoys(sets, genes, settings, rng))


def _is_likely(gene: str) -> bool:
    """Whether a kidney might express the gene, by its name."""
    return not gene.startswith(_UNLIKELY) and "Rik" not in gene and "-ps" not in gene


def _loudness(genes: list[str], curated: set[str]) -> npt.NDArray[np.float64]:
    """Level of each gene, relative to the background of a small panel, (gene,)."""
    likely = np.array([gene in curated or _is_likely(gene) for gene in genes])
    background = sum(gene not in curated for gene, heard in zip(genes, likely, strict=True) if heard)
    return np.where(likely, 1.0, QUIET) * min(1.0, BACKGROUND_GENES / max(background, 1))


def _first(genes: list[str], share: float) -> list[str]:
    return genes[: int(np.ceil(share * len(genes)))]


def _express(
    lists: dict[tuple[str, str], tuple[str, list[str], list[str]]],
    index: dict[str, int],
    loudness: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    n = len(index)
    factor, effect = np.full(n, -1), np.zeros(n)
    level = rng.lognormal(0.0, 1.0, n) * loudness  # background
    profile = np.repeat(level[None], len(REGIONS), axis=0) * rng.lognormal(0, 0.12, (len(REGIONS), n))
    tuft_fold = np.ones(n)
    for (group, name), (_, up, down) in lists.items():
        where = np.array([index[gene] for gene in up + down])
        own = rng.lognormal(np.log(6.0), 0.7, len(where))
        if group == "region":
            code = REGIONS.index(name)
            fold = rng.lognormal(np.log(11.0), 0.5, (len(REGIONS), len(where))).clip(3)
            fold[code] = 1
            if name in ("CX", "OSOM"):  # both are proximal tubules
                fold[1 - code] = fold[1 - code] ** 0.65
            profile[:, where], tuft_fold[where] = own / fold, 0.3 if name == "CX" else 1.0
        elif group == "cell":
            profile[:, where] = 0.6 * own * np.array(CELL_SHARES[name])[:, None]
            tuft_fold[where] = {"podocyte": 120.0, "endothelium": 3.5, "pericyte": 2.5}.get(name, 0.4)
        else:
            factor[where] = list(FACTORS).index(name)
            size = rng.uniform(0.5, 1.0, len(where))
            effect[where] = np.where(np.arange(len(where)) < len(up), size, -size)
            drawn = np.array([region in FACTORS[name][0] for region in REGIONS])
            own = rng.lognormal(np.log(8.0), 0.45, len(where))
            profile[:, where] = own * np.where(drawn, 1.0, ELSEWHERE.get(name, 1.0))[:, None]
    tuft = profile[0] * tuft_fold
    profile *= WINDOW_COUNTS / profile.sum(axis=1, keepdims=True)
    return profile, tuft * WINDOW_COUNTS / tuft.sum(), factor, effect


def _decoys(
    sets: dict[str, tuple[str, tuple[str, ...]]], genes: list[str], settings: PhantomSettings, rng: np.random.Generator
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Sets of the same sizes drawn by chance."""
    sizes = [len(members) for _, members in sets.values()]
    return {
        f"PHANTOM_DECOY_{number:04d}": (
            "drawn by chance",
            tuple(str(gene) for gene in rng.choice(genes, sizes[number % len(sizes)], replace=False)),
        )
        for number in range(1, settings.decoys + 1)
    }
