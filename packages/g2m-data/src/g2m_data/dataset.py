"""The paired dataset: one interface over all sections of a study."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from g2m_data.errors import InputError
from g2m_data.manifest import SPLITS, View
from g2m_data.pairs import SamplePairs
from g2m_data.panel import hash_genes, read_gene_file
from g2m_data.provenance import FORMAT
from g2m_data.threads import THREADS
from g2m_data.window_sums import BLOCK

Indices = Sequence[int] | NDArray[np.integer] | NDArray[np.bool_] | slice


def open_dataset(
    path: Path, split: str | None = None, samples: Sequence[str] | None = None, *, view: View | None = None
) -> "PairedDataset":
    """Open a dataset that :func:`~g2m_data.build.build_dataset` wrote.

    Parameters
    ----------
    path
        Its folder.
    split
        Only sections of this split: ``train``, ``validation`` or ``test``.
    samples
        Only these sections.
    view
        Windows of Visium HD bins other than the manifest's. The library size that counts are scaled to stays.

    Raises
    ------
    InputError
        If there is no dataset, or no section is left.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    chosen = list(manifest["samples"])
    if split is not None:
        if split not in SPLITS:
            raise InputError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
        chosen = [sample for sample in chosen if manifest["samples"][sample]["split"] == split]
    if samples is not None:
        unknown = [sample for sample in samples if sample not in manifest["samples"]]
        if unknown:
            raise InputError(f"{path}: has no sample {unknown[0]!r}, only {', '.join(manifest['samples'])}")
        chosen = [sample for sample in chosen if sample in samples]
    if not chosen:
        raise InputError(f"{path}: no section is left of split {split!r} and samples {samples}")
    return PairedDataset(path, manifest, chosen, view or View(**manifest["view"]))


@dataclass(frozen=True, kw_only=True)
class DatasetDescription:
    """What `g2m data info` shows."""

    study: str
    id: str
    genes: int
    gene_hash: str
    view: View
    patch_px: int
    samples: pd.DataFrame
    """One row a section: platform, split, mpp, patch_um, library_size_target, dropped, genes_missing, pairs, slide (its
    size), notes."""


def describe_dataset(path: Path) -> DatasetDescription:
    """Tell what a dataset holds in the manifest's view, without opening its sections: at once, however large they are.

    Raises
    ------
    InputError
        If there is no dataset.
    """
    manifest = _read_manifest(Path(path))
    pairs = {sample: int(entry["spots"]) for sample, entry in manifest["samples"].items()}
    return _describe(manifest, View(**manifest["view"]), pairs)


class PairedDataset:
    """Pairs of gene expression and image patch; made by :func:`open_dataset`."""

    def __init__(self, path: Path, manifest: dict[str, Any], samples: Sequence[str], view: View) -> None:
        self.path = path
        self.manifest = manifest
        """The contents of `dataset.json`."""
        self.view = view
        self.patch_px: int = manifest["patch"]["pixels"]
        """Pixels along a patch's side."""
        self.genes = read_gene_file(path / "genes.txt")
        """The panel, in its saved order."""
        if hash_genes(self.genes) != manifest["gene_hash"]:
            raise InputError(f"{path / 'genes.txt'}: not the panel this dataset was built with; build it again")
        self._pairs = {
            sample: SamplePairs(
                sample, path / "samples" / sample, manifest["samples"][sample], view, self.patch_px, len(self.genes)
            )
            for sample in samples
        }
        if not any(len(pairs) for pairs in self._pairs.values()):
            raise InputError(f"{path}: no window of {view.window_bins} x {view.window_bins} bins {view.wanted}")
        self.obs = pd.concat([pairs.obs for pairs in self._pairs.values()])
        """Indexed by `<sample>:<barcode>`: sample, split, platform, array_row, array_col, x, y (full-resolution
        pixels) and total_counts."""
        for column in ("sample", "split", "platform"):
            self.obs[column] = pd.Categorical(self.obs[column], categories=list(dict.fromkeys(self.obs[column])))
        self.corners: NDArray[np.int32] = np.concatenate([pairs.corners for pairs in self._pairs.values()])
        """int32 (n, 2): top-left (row, column) of each patch in its resampled slide."""
        self._first = np.concatenate([[0], np.cumsum([len(pairs) for pairs in self._pairs.values()])])

    def __len__(self) -> int:
        return int(self._first[-1])

    @property
    def samples(self) -> list[str]:
        """Ids of the sections in it."""
        return list(self._pairs)

    def expression(self, indices: Indices) -> NDArray[np.float32]:
        """Expression of some pairs, float32 (n, gene).

        Counts scaled to the section's stored library size (the median over its pairs in the manifest's view), then the
        natural log1p (paper, Data). Computed on demand.
        """
        index = self._resolve(indices)
        out = np.empty((len(index), len(self.genes)), dtype=np.float32)
        for pairs, here, within in self._by_sample(index):
            if len(here) == len(index):
                pairs.expression(within, out)
            else:
                part = np.empty((len(here), len(self.genes)), dtype=np.float32)
                pairs.expression(within, part)
                out[here] = part
        return out

    def counts(self, indices: Indices) -> sparse.csr_array:
        """Counts of some pairs, int32 (n, gene): a spot's, or the sum over a window's bins. Computed on demand."""
        index = self._resolve(indices)
        groups = self._by_sample(index)
        order = np.concatenate([here for _, here, _ in groups] or [index])
        parts = [pairs.counts(within) for pairs, _, within in groups]
        counts = sparse.vstack(parts, format="csr") if parts else sparse.csr_array((0, len(self.genes)), dtype=np.int32)
        return sparse.csr_array(counts if len(groups) < 2 else counts[np.argsort(order)])

    def stream_counts(
        self, sample: str, *, block: int = BLOCK, threads: int = THREADS
    ) -> Iterator[tuple[slice, NDArray[np.uint16] | NDArray[np.int32]]]:
        """Counts of all pairs of a section, a block at a time: of Visium HD many times faster than :meth:`counts`.

        Parameters
        ----------
        sample
            The section's id.
        block
            Pairs in a block.
        threads
            Threads that work ahead of the caller.

        Yields
        ------
        Which pairs these are, as positions in the dataset, and their counts, dense (pairs, gene): uint16 where no pair
        of the section has more than 65,535 counts in all, else int32. **The array is valid until the next block is
        asked for**: copy what is to be kept.
        """
        first = self._first[self.samples.index(self._known(sample))]
        for part, counts in self._pairs[sample].stream_counts(block=block, threads=threads):
            yield slice(int(first) + part.start, int(first) + part.stop), counts

    def patches(self, indices: Indices) -> NDArray[np.uint8]:
        """Image patches of some pairs, uint8 (n, px, px, 3): slices of the resampled slide."""
        index = self._resolve(indices)
        out = np.empty((len(index), self.patch_px, self.patch_px, 3), dtype=np.uint8)
        for pairs, here, within in self._by_sample(index):
            part = np.empty((len(here), *out.shape[1:]), dtype=np.uint8)
            pairs.patches(within, part)
            out[here] = part
        return out

    def slide(self, sample: str) -> NDArray[np.uint8]:
        """The resampled, stain-normalised slide of a section, uint8 (height, width, 3), memory-mapped and read-only."""
        return self._pairs[self._known(sample)].slide

    def truth(self) -> pd.DataFrame | None:
        """The known truth of a simulated study at every pair: region, purity, one column a factor; None for a real one.

        Each is averaged over the pair's patch. Aligned with `obs`; not-a-number where a section has no truth.
        """
        folder = self.path / "truth"
        if not folder.is_dir():
            return None
        from g2m_data.truth import TruthMaps  # only simulated studies have any

        frames = []
        for sample, pairs in self._pairs.items():
            if (folder / f"{sample}.npz").is_file():
                truth = TruthMaps.load(folder, sample).sample(pairs.obs[["x", "y"]].to_numpy(), pairs.width_px)
                frames.append(truth.set_axis(pairs.obs.index, axis=0))
        return pd.concat(frames).reindex(self.obs.index) if frames else None

    def truth_factors(self) -> pd.DataFrame | None:
        """The factors of a simulated study: factor, regions (where it shows), statistic, sign; None for a real one."""
        path = self.path / "truth" / "factors.csv"
        return pd.read_csv(path) if path.is_file() else None

    def describe(self) -> DatasetDescription:
        """Summarise the sections that are open, in the view that is open."""
        return _describe(self.manifest, self.view, {sample: len(pairs) for sample, pairs in self._pairs.items()})

    def _known(self, sample: str) -> str:
        if sample not in self._pairs:
            raise InputError(f"{self.path}: no sample {sample!r} is open, only {', '.join(self._pairs)}")
        return sample

    def _resolve(self, indices: Indices) -> NDArray[np.int64]:
        if not isinstance(indices, slice):
            indices = np.asarray(indices)
            if not indices.size:
                indices = indices.astype(np.int64)
            if indices.dtype.kind not in "iub" or (indices.dtype == bool and indices.shape != (len(self),)):
                raise InputError(
                    f"pairs are asked for by number, slice or a mask of all {len(self)}, not by {indices.dtype} of "
                    f"shape {indices.shape}"
                )
        return np.atleast_1d(np.arange(len(self))[indices])

    def _by_sample(self, index: NDArray[np.int64]) -> list[tuple[SamplePairs, NDArray[np.int64], NDArray[np.int64]]]:
        """For each section asked for: its pairs, where they go in the result, and which of its own they are."""
        owner = np.searchsorted(self._first, index, side="right") - 1
        groups = []
        for number, pairs in enumerate(self._pairs.values()):
            here = np.flatnonzero(owner == number)
            if len(here):
                groups.append((pairs, here, index[here] - self._first[number]))
        return groups


def _describe(manifest: dict[str, Any], view: View, pairs: Mapping[str, int]) -> DatasetDescription:
    kept = ("platform", "split", "mpp", "patch_um", "library_size_target", "dropped", "genes_missing")
    rows = []
    for sample, count in pairs.items():
        entry = manifest["samples"][sample]
        slide = f"{entry['slide']['width']} x {entry['slide']['height']}"
        row = {"pairs": count, "slide": slide, "notes": "; ".join(entry["notes"])}
        rows.append({key: entry[key] for key in kept} | row | {"sample": sample})
    return DatasetDescription(
        study=manifest["study"],
        id=manifest["id"],
        genes=manifest["genes"],
        gene_hash=manifest["gene_hash"],
        view=view,
        patch_px=manifest["patch"]["pixels"],
        samples=pd.DataFrame(rows).set_index("sample"),
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((path / "dataset.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not a dataset (no dataset.json); make one with 'g2m data build'") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'dataset.json'}: cannot be read ({error}); build the dataset again") from None
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path}: a dataset of format {content.get('format')}, this version reads {FORMAT}; build it again"
        )
    return content
