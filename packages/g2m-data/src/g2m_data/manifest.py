"""The study manifest: which sections there are, where their files lie, and how they become pairs."""

import difflib
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from g2m_data.errors import InputError
from g2m_data.units import BIN_UM

PLATFORMS = ("visium-hd", "visium", "st")
SPLITS = ("train", "validation", "test")
STAINS = ("macenko", "none")
OVERLAYS = ("aligned_fiducials.jpg", "aligned_tissue_image.jpg", "detected_tissue_image.jpg")
MOST_BINS = 9999
"""Bins of 2 µm that a window or a stride may be wide, more than any array has."""

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Study:
    """Section ``[study]``."""

    name: str
    """What reports call the study."""
    genes: str = "common"
    """``"common"``, or a file with one gene symbol per line."""
    truth: str | None = None
    """Folder with the known truth of a simulated study."""
    gene_sets: str | None = None
    """Local GMT file that genes are enriched for; a phantom brings its own."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Section ``[view]``: how bins of Visium HD become pseudo-spots; in bins of 2 µm, whatever a section has."""

    window_bins: int = 27
    """Bins along a window's side; odd, so that a centre bin exists (paper, Data: 27 bins of 2 µm)."""
    stride_bins: int = 5
    """Bins from one window to the next (paper, Data)."""
    min_coverage: float = 1.0
    """Share of a window's bins that must lie under tissue, 0 to 1; the centre bin, which names the pair, always must.
    The paper's windows are whole. In others a bin that is not under tissue counts nothing."""
    all_bins: bool = True
    """Whether every bin of a window must exist. A dataset keeps the bins under tissue only, so that the rectangle which
    these span is what it knows of the array: beyond it no bin exists, within it a bin that is not under tissue does.
    If false, windows may hang over its edge, as far as `min_coverage` lets them."""

    def __post_init__(self) -> None:
        if not 1 <= self.window_bins <= MOST_BINS or self.window_bins % 2 == 0:
            raise InputError(
                f"window_bins must be odd, so that a window has a centre bin, and at most {MOST_BINS}; "
                f"found {self.window_bins}"
            )
        if not 1 <= self.stride_bins <= MOST_BINS:
            raise InputError(f"stride_bins must be at least 1 and at most {MOST_BINS}, found {self.stride_bins}")
        if not 0 <= self.min_coverage <= 1:
            raise InputError(f"min_coverage must lie between 0 and 1, found {self.min_coverage}")

    def rescale(self, bin_um: float) -> "View":
        """The most similar windows of other bins: an odd number of them, about as wide; and about the same stride.

        27 bins of 2 µm are 54 µm; of 8 µm it takes 7 (56 µm), of 16 µm 3 (48 µm).
        """
        if bin_um == BIN_UM:
            return self
        window, stride = (bins * BIN_UM / bin_um for bins in (self.window_bins, self.stride_bins))
        return replace(self, window_bins=2 * int(window / 2) + 1, stride_bins=max(1, round(stride)))

    @property
    def settings(self) -> dict[str, Any]:
        """What tells it from the paper's view, and its window and stride in any case: other files need not change."""
        chosen = {"window_bins": self.window_bins, "stride_bins": self.stride_bins}
        return chosen | {name: value for name, value in asdict(self).items() if value != getattr(View, name)}

    @property
    def wanted(self) -> str:
        """What a window must be, in words that follow "no window of bins"."""
        if self.min_coverage == 1:
            return "lies wholly under tissue"
        return f"lies under tissue with its centre and {100 * self.min_coverage:g} % of its bins"


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Section ``[patch]``: the images beside the expression."""

    pixels: int = 128
    """Pixels along a patch's side; its width in µm is the spot's."""
    stain: str = "macenko"
    """``"macenko"``, estimated once per slide, or ``"none"``."""


@dataclass(frozen=True, kw_only=True)
class SampleEntry:
    """One ``[[sample]]``: a section and where its files lie."""

    id: str
    """Name of the section, unique in the study."""
    spaceranger: Path
    """Space Ranger's output folder (``outs``)."""
    image: Path
    """The full-resolution slide that the spots' pixel coordinates refer to."""
    split: str
    """``train``, ``validation`` or ``test``."""
    prefix: str | None = None
    """What the names of its files begin with, where the folder holds those of several sections."""
    platform: str | None = None
    """``visium-hd``, ``visium`` or ``st``; without it the folder's layout and lattice must tell."""
    mpp: float | None = None
    """Microns per full-resolution pixel; overrides every estimate."""
    pitch_um: float | None = None
    """Distance between neighbouring spots' centres in µm, where it is not the platform's."""
    spot_um: float | None = None
    """Spot diameter and therefore patch width in µm, where it is not the platform's."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A whole study; relative paths have been resolved against the manifest's folder."""

    path: Path
    study: Study
    view: View = field(default_factory=View)
    patch: Patch = field(default_factory=Patch)
    samples: tuple[SampleEntry, ...]

    @property
    def gene_file(self) -> Path | None:
        """The file that lists the panel, or None for the genes common to all samples."""
        return None if self.study.genes == "common" else self.path.parent / self.study.genes

    @property
    def truth_folder(self) -> Path | None:
        """The folder of known truth, or None."""
        return None if self.study.truth is None else self.path.parent / self.study.truth

    @property
    def gene_sets_file(self) -> Path | None:
        """The GMT file that the manifest names, or None."""
        return None if self.study.gene_sets is None else self.path.parent / self.study.gene_sets


def read_manifest(path: Path) -> Manifest:
    """Read and check a study manifest.

    Raises
    ------
    InputError
        For anything wrong in it, including files it names that do not exist.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such study manifest") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a study manifest ({error})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None

    _refuse_unknown(content, ("study", "view", "patch", "sample"), str(path))
    entries = content.get("sample", [])
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: lists no samples; add a [[sample]] table for each section")
    manifest = Manifest(
        path=path,
        study=_section(Study, content.get("study", {}), f"{path}: [study]", path.parent),
        view=_section(View, content.get("view", {}), f"{path}: [view]", path.parent),
        patch=_section(Patch, content.get("patch", {}), f"{path}: [patch]", path.parent),
        samples=tuple(
            _section(SampleEntry, entry, f"{path}: [[sample]] number {number}", path.parent)
            for number, entry in enumerate(entries, start=1)
        ),
    )
    try:
        _check(manifest)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise InputError(f"{error.filename}: {error.strerror} (named in {path})") from None
    return manifest


def _section(kind: type[S], content: Any, where: str, folder: Path) -> S:
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected a table of settings, found {content!r}")
    hints = get_type_hints(kind)
    _refuse_unknown(content, hints, where)
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for name, entry in known.items():
        if entry.default is MISSING and name not in content:
            raise InputError(f"{where}: {name!r} is missing")
    values = {name: _value(hints[name], value, f"{where}: {name}", folder) for name, value in content.items()}
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str, folder: Path) -> Any:
    if get_origin(hint) is not None:  # `X | None`
        hint = get_args(hint)[0]
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        names = {str: "text", Path: "a path", int: "a whole number", float: "a number", bool: "true or false"}
        raise InputError(f"{where}: expected {names[hint]}, found {value!r}")
    return value


def _refuse_unknown(content: Mapping[str, Any], valid: Collection[str], where: str) -> None:
    for key in content:
        if key not in valid:
            nearest = difflib.get_close_matches(key, list(valid), n=1, cutoff=0.0)
            raise InputError(f"{where}: unknown setting {key!r}; did you mean {nearest[0]!r}?")


def _check(manifest: Manifest) -> None:
    path, patch = manifest.path, manifest.patch
    if not 8 <= patch.pixels <= 4096:
        raise InputError(f"{path}: [patch]: pixels must lie between 8 and 4096, found {patch.pixels}")
    _one_of(patch.stain, STAINS, f"{path}: [patch]: stain")
    if manifest.gene_file is not None and not manifest.gene_file.is_file():
        raise InputError(f"{manifest.gene_file}: no such gene list (named by 'genes' in {path}; or write \"common\")")
    if manifest.truth_folder is not None and not manifest.truth_folder.is_dir():
        raise InputError(f"{manifest.truth_folder}: no such folder (named by 'truth' in {path})")
    if manifest.gene_sets_file is not None and not manifest.gene_sets_file.is_file():
        raise InputError(f"{manifest.gene_sets_file}: no such file of gene sets (named by 'gene_sets' in {path})")

    seen: set[str] = set()
    for sample in manifest.samples:
        where = f"{path}: sample {sample.id!r}"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", sample.id):
            raise InputError(
                f"{where}: an id may hold letters, digits, '.', '_' and '-' only, because it names a folder"
            )
        if sample.id in seen:
            raise InputError(f"{where}: two samples have this id; give each its own")
        seen.add(sample.id)
        _one_of(sample.split, SPLITS, f"{where}: split")
        if sample.platform is not None:
            _one_of(sample.platform, PLATFORMS, f"{where}: platform")
        for name in ("mpp", "pitch_um", "spot_um"):
            value = getattr(sample, name)
            if value is not None and not 0 < value < 1e4:
                raise InputError(f"{where}: {name} must be positive (µm), found {value}")
        if not sample.spaceranger.is_dir():
            raise InputError(f"{sample.spaceranger}: no such Space Ranger folder ({where})")
        if sample.image.name.endswith(OVERLAYS):
            raise InputError(f"{sample.image}: a grey overlay that Space Ranger draws, not the H&E slide ({where})")
        if not sample.image.is_file():
            raise InputError(f"{sample.image}: no such slide image ({where})")


def _one_of(value: str, valid: tuple[str, ...], where: str) -> None:
    if value not in valid:
        raise InputError(f"{where}: expected one of {', '.join(valid)}; found {value!r}")
