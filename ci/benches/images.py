"""36,528 generated patches of 128 px scored twice: peak memory (bound 3 GiB), and how much faster the second run is
(bound 20 x). `ci/bench images [--images N] [--extractor own|inception-shaped] [--folder DIR]`.

A study of noise: 9,132 test spots and as many training patches twice over, whose dataset is a stand-in read from one
file and whose images were written beforehand, so that what is measured is `g2m eval images`'s own work: reading,
features, digests, distances, intervals. `inception-shaped` is torch-fidelity's architecture with random weights.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benches._figure import Figure, Run, run_measured

PER_SPOT = 4


def measure(arguments: list[str]) -> list[Figure]:
    parser = argparse.ArgumentParser(prog="ci/bench images")
    parser.add_argument("--images", type=int, default=36_528)
    parser.add_argument("--extractor", choices=("own", "inception-shaped"), default="own")
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args(arguments)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="g2m-bench-images-"))
    try:
        shutil.rmtree(folder / "study", ignore_errors=True)
        subprocess.run(_command("write", folder, chosen.images), check=True)
        first, second = (_score(folder, chosen.extractor, f"run-{number}.log") for number in (1, 2))
        shutil.rmtree(folder / "study" / "images")
        third = _score(folder, chosen.extractor, "run-3.log")
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    name = f"{chosen.images:,} images, {chosen.extractor}"
    return [
        Figure(f"{name}: peak memory", max(first.peak_gib, third.peak_gib), "GiB", at_most=3),
        Figure(f"{name}: first run", first.seconds, "s"),
        Figure(f"{name}: second run", second.seconds, "s"),
        Figure(f"{name}: first / second", first.seconds / second.seconds, "x", at_least=20),
        Figure(f"{name}: features cached, distances anew", third.seconds, "s"),
    ]


def _command(task: str, folder: Path, argument: object) -> list[str]:
    """Call a function of this module in a process of its own."""
    where = str(Path(__file__).resolve().parents[1])
    code = f"import sys; sys.path.insert(0, {where!r}); from benches import images; images.{task}"
    return [sys.executable, "-c", f"{code}({str(folder)!r}, {argument!r})"]


def _score(folder: Path, extractor: str, log: str) -> Run:
    run = run_measured(_command("score", folder, extractor), folder / log)
    if run.code:
        sys.exit(f"scoring failed: {(folder / log).read_text()[-2000:]}")
    return run


def write(folder: str, images: int) -> None:
    """Write the study, a chunk of images at a time."""
    import numpy as np
    import pandas as pd
    import zarr

    from g2m_cli.evaluation.images import ImagesRequest, wanted_images
    from g2m_cli.files import write_json
    from g2m_cli.provenance import FILE
    from g2m_cli.study import Study

    study = Study(Path(folder) / "study")
    spots = images // PER_SPOT
    for path in (study.dataset, study.run("gan") / "model"):
        path.mkdir(parents=True)
    write_json(study.dataset / "dataset.json", {"id": "bench"})
    write_json(study.run("gan") / FILE, {"id": "bench", "settings": {}})
    random = np.random.default_rng(0)
    counts = {"test": spots, "train": images}
    for name, count in counts.items():
        patches = np.lib.format.open_memmap(
            study.dataset / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(count, 128, 128, 3)
        )
        for start in range(0, count, 256):
            patches[start : start + 256] = _patches(random, min(256, count - start))
    request = ImagesRequest(models=("gan",), seeds=PER_SPOT)
    target = study.generated(request.folder("gan"))
    target.mkdir(parents=True)
    array = zarr.create_array(
        target / "images.zarr", shape=(spots * PER_SPOT, 128, 128, 3), chunks=(64, 128, 128, 3), dtype="uint8"
    )
    for start in range(0, spots * PER_SPOT, 256):
        stop = min(start + 256, spots * PER_SPOT)
        array[start:stop] = _patches(random, stop - start)
    names = [f"test:{number}" for number in range(spots)]
    pd.DataFrame({"spot": np.repeat(names, PER_SPOT)}).to_parquet(target / "index.parquet")
    write_json(target / FILE, {"id": wanted_images(study, request, "gan")})


def _patches(random, count: int):  # type: ignore[no-untyped-def]
    """Soft noise about a colour of each patch's own: neither equal nor incompressible."""
    import numpy as np

    coarse = random.integers(0, 60, (count, 16, 16, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return coarse + random.integers(80, 180, (count, 1, 1, 3), dtype=np.uint8)


def score(folder: str, extractor: str) -> None:
    """Call what the command calls, with the dataset that was written."""
    import g2m_cli.evaluation.images as images
    from g2m_cli.settings import RunSettings
    from g2m_cli.study import Study
    from g2m_eval import PRESETS

    study = Study(Path(folder) / "study")
    weights = None
    if extractor == "inception-shaped":
        weights = Path(folder) / "inception-shaped.pth"
        if not weights.is_file():
            _write_inception(weights)
    request = images.ImagesRequest(
        models=("gan",),
        seeds=PER_SPOT,
        extractors=("own" if extractor == "own" else "inception",),
        weights=weights,
    )
    _stand_in(study)
    # training the own network is not what is measured here
    settings = replace(PRESETS["tiny"], extractor_steps=10, train_patches=1000)
    images.score_images(study, request, RunSettings(model=settings))


def _stand_in(study) -> None:  # type: ignore[no-untyped-def]
    """Let `open_dataset` give the splits that were written."""
    import numpy as np

    import g2m_data

    class Split:
        patch_px = 128

        def __init__(self, name: str) -> None:
            import pandas as pd

            self._file = study.dataset / f"{name}.npy"
            count = len(np.load(self._file, mmap_mode="r"))
            self.obs = pd.DataFrame(index=[f"{name}:{number}" for number in range(count)])

        def __len__(self) -> int:
            return len(self.obs)

        def patches(self, rows):  # type: ignore[no-untyped-def]
            # mapped anew each time: pages of a file that stay mapped would count as this process's memory
            return np.load(self._file, mmap_mode="r")[rows]

        def truth(self) -> None:
            return None

    g2m_data.open_dataset = lambda _, split: Split(split)


def _write_inception(path: Path) -> None:
    import torch
    from torch import nn
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    load, fidelity.load_state_dict_from_url = nn.Module.load_state_dict, lambda *_, **__: {}
    nn.Module.load_state_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    network = fidelity.FeatureExtractorInceptionV3("inception", ["2048"])
    nn.Module.load_state_dict = load  # type: ignore[method-assign]
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    torch.save(network.state_dict(), path)
