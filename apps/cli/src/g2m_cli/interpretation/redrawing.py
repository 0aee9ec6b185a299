"""Models and spots as redrawing needs them: what draws and measures, with and without a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2m_cli.errors import InputError
from g2m_cli.provenance import known_to_differ, read_provenance
from g2m_cli.study import Study, dataset_id, embeddings_id, encoders_of_embeddings, folder_id

if TYPE_CHECKING:
    from torch import Tensor

    from g2m_cli.generators import Generator
    from g2m_data import PairedDataset
    from g2m_encoders import ContrastiveModel
    from g2m_interpret import Familiarity, Simulator

_FAMILIAR_PAIRS, _COMPONENTS = 2000, 20


@dataclass(frozen=True, kw_only=True)
class Models:
    """The encoders and one generator of a study, on the GPU if there is one."""

    folder: Path
    """Of the study."""
    name: str
    """Run of the generator."""
    encoders: ContrastiveModel
    generator: Generator

    @classmethod
    def open(cls, study: Study, name: str, *, image: bool = False) -> Models:
        """Read them; the encoders' image side, which needs the backbone, only where it is asked for.

        Raises
        ------
        InputError
            If there is no such generator, or it was trained on embeddings that are not these encoders'.
        """
        from g2m_cli.device import compute_device
        from g2m_cli.generators import open_generator
        from g2m_encoders import ContrastiveModel

        folder = study.run(name) / "model"
        if name == "encoders" or not folder.is_dir():
            there = sorted({path.parent.name for path in study.run("").glob("*/model")} - {"encoders", "vae"})
            raise InputError(f"--model {name}: no generator of this name; there are: {', '.join(there) or 'none'}")
        encoders = ContrastiveModel.from_pretrained(study.run("encoders") / "model", image=image)
        encoders = encoders.to(compute_device()).eval().requires_grad_(False)
        generator = open_generator(folder)
        if generator.condition_dim != encoders.settings.embedding_dim:
            raise InputError(
                f"{study.run(name)}: was trained on embeddings of {generator.condition_dim} dimensions, the encoders "
                f"give {encoders.settings.embedding_dim}; train it again"
            )
        _refuse_stale(study, name)
        return cls(folder=study.root, name=name, encoders=encoders, generator=generator)

    @property
    def parents(self) -> dict[str, str | None]:
        """Ids of what a picture is made from."""
        study = Study(self.folder)
        return {
            "dataset": dataset_id(study.dataset),
            "encoders": folder_id(study.run("encoders")),
            self.name: folder_id(study.run(self.name)),
        }

    def simulator(self, patch_um: float, *, batch_size: int) -> Simulator:
        """Draw and measure expression: image statistics of patches that are ``patch_um`` wide."""
        import torch

        from g2m_cli.generation import Request
        from g2m_eval.morphology import image_statistics
        from g2m_interpret import Simulator

        request, encoders, generator = Request(), self.encoders, self.generator

        def encode(expression: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.no_grad():
                found = encoders.embed_expression(torch.from_numpy(expression).to(encoders.device))
            return np.asarray(found.float().cpu().numpy())

        return Simulator(
            genes=tuple(encoders.genes),
            encode=encode,
            generate=lambda embeddings, keys: generator.draw(embeddings, keys, request),
            measure=lambda images: image_statistics(images, patch_um / generator.resolution),
            batch_size=batch_size,
        )

    def differentiable(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]:
        """Give encoder and generator as attribution through them needs: tensors to tensors."""
        return self.encoders.embed_expression, self.generator.trace


def _refuse_stale(study: Study, name: str) -> None:
    """Refuse a generator whose conditions came from other encoders, as far as that is known: it never saw these."""
    run, encoders, embeddings = study.run(name), study.run("encoders"), study.embeddings
    seen = (read_provenance(run) or {}).get("parents", {}).get("embeddings")
    again = "; `g2m run` makes what is out of date again"
    if known_to_differ(seen, embeddings_id(embeddings)):
        raise InputError(f"{run}: was trained on other embeddings than {embeddings}{again}")
    if known_to_differ(encoders_of_embeddings(embeddings), folder_id(encoders)):
        raise InputError(f"{embeddings}: is not of the encoders in {encoders}{again}")


def patch_width_um(spots: PairedDataset, rows: NDArray[np.int64]) -> float:
    """Give the width of these spots' patches, averaged over their sections."""
    samples = spots.obs["sample"].astype(str).iloc[rows].unique()
    return float(np.mean([spots.manifest["samples"][sample]["patch_um"] for sample in samples]))


def aligned(encoders: ContrastiveModel, spots: PairedDataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read the expression of spots in the order of the encoders' panel."""
    return encoders.align(list(spots.genes)).apply(spots.expression(rows))


def learn_familiarity(
    study: Study, encoders: ContrastiveModel, spots: PairedDataset, rows: NDArray[np.int64], seed: int
) -> Familiarity | None:
    """Learn what training profiles look like, and let in the chosen sections' own: their batch is not the edit's.

    None where there are too few training profiles to tell.
    """
    from g2m_data import open_dataset
    from g2m_interpret import Familiarity

    train = open_dataset(study.dataset, split="train")
    if len(train) < 4 * _COMPONENTS:
        return None
    generator = np.random.default_rng(seed)
    of_train = np.sort(generator.permutation(len(train))[:_FAMILIAR_PAIRS])
    learned = Familiarity.fit(aligned(encoders, train, of_train), components=_COMPONENTS, seed=seed)
    sections = spots.obs["sample"].astype(str).to_numpy()
    own = np.flatnonzero(np.isin(sections, np.unique(sections[rows])))
    own = np.sort(generator.permutation(own)[:_FAMILIAR_PAIRS])
    return learned.extended(aligned(encoders, spots, own))
