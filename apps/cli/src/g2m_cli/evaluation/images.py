"""Table 1 of a study: several images of every test spot, against both references, through any networks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2m_cli.artefacts import Artefacts
from g2m_cli.console import say, track
from g2m_cli.device import AUTO
from g2m_cli.errors import InputError
from g2m_cli.evaluation.image_extractors import (
    OWN,
    OpenedExtractor,
    describe_extractor,
    extractor_identity,
    open_extractor,
    took_part,
)
from g2m_cli.files import complete_or_absent, write_json
from g2m_cli.generation import Request, generate, generated_record, open_images
from g2m_cli.models import family_of, label_of
from g2m_cli.provenance import FILE, provenance, read_provenance
from g2m_cli.settings import RunSettings, learned
from g2m_cli.study import Study, dataset_id, folder_id
from g2m_cli.study_settings import GENERATORS

if TYPE_CHECKING:
    from g2m_data import PairedDataset
    from g2m_eval import EvaluationSettings

TEST, TRAIN = "test", "train"
_KIND = "images"
_OWN = re.compile(r"images\.json|provenance\.json|table1(-[A-Z]+)?\.csv")  # what the folder consists of


@dataclass(frozen=True, kw_only=True)
class ImagesRequest:
    """What is to be drawn and compared."""

    models: tuple[str, ...]
    seeds: int = 4
    limit: int | None = None
    extractors: tuple[str, ...] = ("own",)
    weights: Path | None = None
    references: tuple[str, ...] = (TEST, TRAIN)
    steps: Mapping[str, int] = field(default_factory=dict)
    """Evaluations of the denoiser, by family; of others as many as the model was exported with."""

    def folder(self, name: str) -> str:
        """Name the folder below ``generated/`` of one model's images."""
        return f"{name}-x{self.seeds}" + ("" if self.limit is None else f"-n{self.limit}")

    def drawing(self, name: str) -> Request:
        """Say what is to be drawn of one model."""
        _, _, strength = name.rpartition("-w") if "-w" in name else ("", "", "1")
        steps = self.steps.get(family_of(name))
        return Request(seeds=tuple(range(self.seeds)), limit=self.limit, guidance=float(strength), steps=steps)


def models_of(study: Study) -> list[str]:
    """Name what can be drawn: each trained model, diffusion at the strengths that were drawn already, or w = 1."""
    names = []
    for family in GENERATORS:
        if not (study.run(family) / "model").is_dir():
            continue
        drawn = sorted(folder.name for folder in study.generated("").glob(f"{family}-w*") if folder.is_dir())
        strengths = [name for name in drawn if _is_strength(name.rpartition("-w")[2])]
        names += [family] if family == "gan" else strengths or [f"{family}-w1"]
    return names


def check_models(study: Study, names: Sequence[str]) -> tuple[str, ...]:
    """Give the names back.

    Raises
    ------
    InputError
        If one is no model of the study.
    """
    possible = models_of(study)
    if not possible:
        raise InputError(f"{study.root / 'runs'}: no generator was trained here; `g2m run` or `g2m gan train` does")
    families = {family_of(name) for name in possible} - {"gan"}
    for name in names:
        family, _, strength = name.rpartition("-w")
        if name not in possible and not (family in families and _is_strength(strength)):
            raise InputError(f"--models {name}: no such model in {study.root}; there are: {', '.join(possible)}")
    return tuple(dict.fromkeys(names or possible))


def _is_strength(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


def score_images(
    study: Study, request: ImagesRequest, settings: RunSettings[EvaluationSettings], *, out: Path | None = None
) -> Path:
    """Draw what is missing, compare it, and write images.json, table1.csv and provenance.json.

    Parameters
    ----------
    study
        Whose models, embeddings and dataset.
    request
        What to draw, and what to compare it with.
    settings
        Of the metrics' own network and of the kernel distance; the seed is that of every draw.
    out
        Folder; the study's ``images`` by default. An unchanged one is kept, an older one moved to ``superseded/``.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError
        If a network cannot be had, or ``out`` holds something else.
    """
    target = out or study.root / "images"
    check_target(target)
    record = images_record(study, request, settings)
    before = read_provenance(target)
    if before is not None and before["id"] == record["id"] and (target / "images.json").is_file():
        say(f"{target}: unchanged, kept")
        return target
    check_enough(request.seeds, request.limit)
    # what cannot be had is told before hours of drawing; the own network needs to know the images' size
    opened = {
        spec: open_extractor(spec, study, 0, settings.model, weights=request.weights, seed=settings.seed)
        for spec in request.extractors
        if spec != OWN
    }
    draw_missing(study, request, Artefacts(study.root))
    models, networks = compare_models(study, request, settings, opened)
    Artefacts(study.root).set_aside(target)
    write_images(target, record, models, networks)
    return target


def check_enough(seeds: int, limit: int | None) -> None:
    """Refuse to draw fewer images than can be compared.

    Raises
    ------
    InputError
        Says how many that are.
    """
    from g2m_eval.distances.manifold import DENSITY_NEIGHBOURS

    if limit is not None and limit * seeds <= DENSITY_NEIGHBOURS:
        raise InputError(f"{limit} spots x {seeds}: distances need more than {DENSITY_NEIGHBOURS} images; ask for more")


def check_target(target: Path) -> None:
    """Refuse a folder that does not hold what this command writes, before any work.

    Raises
    ------
    InputError
        If it holds anything else, or lies below a file.
    """
    above = next(folder for folder in (target, *target.absolute().parents) if folder.exists())
    if not above.is_dir():
        raise InputError(f"{above}: is a file; name a folder as --out")
    foreign = [] if above != target else sorted(e.name for e in target.iterdir() if not _OWN.fullmatch(e.name))
    if foreign:
        raise InputError(f"{target}: holds {foreign[0]}, which `g2m eval images` did not write; name another --out")


def images_record(study: Study, request: ImagesRequest, settings: RunSettings[EvaluationSettings]) -> dict[str, Any]:
    """Describe what this request gives: nothing is opened but provenance, so that an unchanged one is seen at once."""
    wanted = {**asdict(request), "extractors": [extractor_identity(e, request.weights) for e in request.extractors]}
    del wanted["weights"], wanted["steps"]  # known by content, and by the images that they make
    parents = {"dataset": dataset_id(study.dataset)} | {
        f"generated/{request.folder(name)}": wanted_images(study, request, name) for name in request.models
    }
    return provenance(_KIND, {**wanted, "scoring": learned(settings)}, parents)


def wanted_images(study: Study, request: ImagesRequest, name: str) -> str:
    """Give the id of the images that the model, as it is now, draws."""
    model = study.run(family_of(name)) / "model"
    return str(generated_record(model, study.embeddings, request.drawing(name))["id"])


def draw_missing(study: Study, request: ImagesRequest, artefacts: Artefacts, *, precision: str = AUTO) -> None:
    """Draw each model's images unless they are there; those of another model are set aside."""
    for name in request.models:
        folder = study.generated(request.folder(name))
        draw = partial(
            generate,
            study.run(family_of(name)) / "model",
            study.embeddings,
            {folder: request.drawing(name)},
            precision=precision,
        )
        artefacts.once(f"images of {label_of(name)}", folder, wanted_images(study, request, name), folder_id, draw)


@dataclass(frozen=True)
class PatchesView:
    """Some patches of a dataset, read when they are sliced."""

    dataset: PairedDataset
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, 3)."""
        return (len(self.rows), self.dataset.patch_px, self.dataset.patch_px, 3)

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        return self.dataset.patches(self.rows[rows])


def compare_models(
    study: Study,
    request: ImagesRequest,
    settings: RunSettings[EvaluationSettings],
    opened_before: Mapping[str, OpenedExtractor],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Give ``models.<name>`` of images.json, and the networks that were looked through."""
    import pandas as pd

    from g2m_data import open_dataset

    images = {name: open_images(study.generated(request.folder(name))) for name in request.models}
    spots = {
        name: pd.read_parquet(study.generated(request.folder(name)) / "index.parquet")["spot"].to_numpy().astype(str)
        for name in request.models
    }
    resolution = min(int(array.shape[1]) for array in images.values())
    most = max(int(array.shape[0]) for array in images.values())
    test, train = (open_dataset(study.dataset, split=split) for split in ("test", "train"))
    drawn = np.flatnonzero(test.obs.index.isin(np.concatenate(list(spots.values()))))
    rows = np.random.default_rng(settings.seed).permutation(len(train))[:most]
    references = {TEST: PatchesView(test, drawn), TRAIN: PatchesView(train, np.sort(rows))}
    names = {key: view.dataset.obs.index.to_numpy().astype(str)[view.rows] for key, view in references.items()}
    models: dict[str, Any] = {
        name: {
            "resolution": int(images[name].shape[1]),
            "seconds_per_1000_images": timing(study.generated(request.folder(name))),
            "distances": [],
            "distances_real": [],
        }
        for name in request.models
    }
    networks = []
    for spec in request.extractors:
        opened = opened_before.get(spec) or open_extractor(
            spec, study, resolution, settings.model, weights=request.weights, seed=settings.seed
        )
        networks.append(describe_extractor(opened))
        comparison = Comparison(study=study, opened=opened, resolution=resolution, settings=settings)
        for name in request.models:
            for reference in request.references:
                found = comparison.compare(
                    (images[name], spots[name]), (references[reference], names[reference]), reference,
                    took_part=took_part(study, name, opened),
                )  # fmt: skip
                models[name]["distances"].append(found)
        if set(request.references) == {TEST, TRAIN}:  # what real patches score: the scale of the rest
            found = comparison.compare((references[TRAIN], names[TRAIN]), (references[TEST], names[TEST]), TEST)
            for name in request.models:  # its yardstick stays beside each of them, whichever others are shown
                protocol = {**found["protocol"], "took_part": took_part(study, name, opened)}
                models[name]["distances_real"].append({**found, "protocol": protocol})
    return models, networks


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Compares sets through one network; features are cached in the study."""

    study: Study
    opened: OpenedExtractor
    resolution: int
    settings: RunSettings[EvaluationSettings]
    seen: dict[int, tuple[NDArray[np.float32], str]] = field(default_factory=dict)

    def features(self, patches: Any) -> tuple[NDArray[np.float32], str]:
        """Give features, and the digest of the patches, which are read once for it."""
        from g2m_eval.extractors.features import FeatureCache, content_digest, stream_features

        if id(patches) in self.seen:
            return self.seen[id(patches)]
        digest = content_digest(patches)
        cache = FeatureCache(self.study.root / "cache" / "features")
        found = stream_features(
            patches, self.opened.extractor, resolution=self.resolution, cache=cache, digest=digest, track=track
        )
        self.seen[id(patches)] = found, digest
        return found, digest

    def compare(
        self,
        generated: tuple[Any, NDArray[np.str_]],
        reference: tuple[Any, NDArray[np.str_]],
        which: str,
        *,
        took_part: bool = False,
    ) -> dict[str, Any]:
        """Give one entry of ``distances``."""
        from g2m_eval.distances.compare import compare_sets
        from g2m_eval.distances.protocol import TEST_SPOTS, TRAINING_SLIDE, DistanceProtocol

        of_generated, _ = self.features(generated[0])
        of_reference, digest = self.features(reference[0])
        real = int(reference[0].shape[1])
        enlarged = f", bilinear interpolation of {real} px real patches" if real < self.resolution else ""
        own = f", then {self.opened.resize}" if self.opened.resize else ""
        protocol = DistanceProtocol(
            extractor=self.opened.extractor.name,
            resolution=self.resolution,
            resize=f"area averages to {self.resolution} px{enlarged}{own}",
            n_generated=len(of_generated),
            n_reference=len(of_reference),
            reference=TEST_SPOTS if which == TEST else TRAINING_SLIDE,
            reference_hash=digest[:16],
            seed=self.settings.seed,
            took_part=took_part,
            inception=self.opened.inception,
        )
        say(f"comparing: {protocol}")
        return compare_sets(
            of_generated,
            of_reference,
            protocol,
            generated_spots=generated[1],
            reference_spots=reference[1],
            kernel_subsets=self.settings.model.kernel_subsets,
        ).to_dict()


def timing(folder: Path) -> float | None:
    """Read how long drawing took."""
    found = (read_provenance(folder) or {}).get("timing", {}).get("seconds_per_1000_images")
    return None if found is None else float(found)


def write_images(
    target: Path, record: Mapping[str, Any], models: Mapping[str, Any], networks: Sequence[Mapping[str, Any]]
) -> None:
    """Write the folder at once."""
    from g2m_eval.report.comparison import compare_generators, group_by_protocol, protocol_table
    from g2m_eval.report.markup import plain_values

    labelled = {label_of(name): entry for name, entry in models.items()}
    groups = group_by_protocol(labelled)
    with complete_or_absent(target) as building:
        building.mkdir()
        protocols = {group.letter: group.protocol.to_dict() for group in groups}
        entry = {"id": record["id"], "protocols": protocols, "extractors": networks, "models": models}
        write_json(building / "images.json", plain_values(entry))
        compare_generators(labelled).to_csv(building / "table1.csv", index=False)
        for group in groups:
            protocol_table(group).to_csv(building / f"table1-{group.letter}.csv", index=False)
        write_json(building / FILE, record)


def describe_images(folder: Path) -> str:
    """Write out what was found, as text: Table 1, and what each letter stands for."""
    import json

    import pandas as pd

    protocols = json.loads((folder / "images.json").read_text())["protocols"]
    lines = [pd.read_csv(folder / "table1.csv").to_string(index=False, na_rep="–"), ""]
    for letter, fields in protocols.items():
        part = " (took part in training the generator)" if fields["took_part"] else ""
        lines.append(
            f"{letter}: {fields['n_generated']:,} generated and {fields['n_reference']:,} {fields['reference']}, "
            f"{fields['extractor']}{part}, {fields['resize']}, seed {fields['seed']}"
        )
        numbers = pd.read_csv(folder / f"table1-{letter}.csv")
        lines += [numbers.to_string(index=False, na_rep="–"), ""]
    return "\n".join(lines)
