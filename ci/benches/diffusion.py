"""GAN, flow matching and Stable Diffusion's recipe on the phantom, trained alike: `[--minutes 60] [--folder DIR]`.

`--only gan,tissue,sd-base,sd-paper` measures some of them. In a named folder what is done is kept, and the same command
goes on where it was stopped. Everything is 64 px and from scratch; the three denoisers have the same U-Net. Stable
Diffusion's two also get an autoencoder, trained once for a sixth of the time, as the paper's comes trained already.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from benches._figure import Figure

PAPER = [
    "condition.kind=padded", "condition.in_time_embedding=false", "objective.target=epsilon",
    "objective.ddpm_zero_snr=false",
]  # fmt: skip
CALIBRATION_IMAGES = 1_600
DENOISERS = [
    "batch_size=32", "micro_batch=32", "optimizer.lr=1e-3", "optimizer.warmup_images=2000",
]  # fmt: skip  # for many minutes; the presets' own suit the demo's few
STEPS = 20  # of a denoiser, an image
NEEDED = {"tissue": 0.8}  # balanced region accuracy
FACTORS_NEEDED = {"tissue": 2}  # factors with at least half of the correlation that real patches reach
REGION_COLUMNS = 2


def measure(arguments: list[str]) -> list[Figure]:
    parser = ArgumentParser(prog="ci/bench diffusion")
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, each")
    parser.add_argument("--folder", type=Path, help="keeps the artefacts and goes on with them")
    parser.add_argument("--only", default="gan,tissue,sd-base,sd-paper")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(chosen.folder or Path(scratch), chosen.minutes, chosen.seed)
        return bench.run(chosen.only.split(","))


class Bench:
    """Trains, draws and scores in one folder; a step whose result is there is not done again."""

    def __init__(self, root: Path, minutes: float, seed: int) -> None:
        self.root, self.minutes, self.seed = root, minutes, seed
        self.dataset, self.embeddings = root / "dataset", root / "embeddings.h5ad"
        self.encoders = root / "runs" / "encoders"

    def run(self, names: list[str]) -> list[Figure]:
        self.root.mkdir(parents=True, exist_ok=True)
        self.prepare()
        figures, scores = [], {}
        for name in names:
            entry = self.entry(name)
            scores[name] = entry
            followed = sum(share(f) >= 0.5 for f in entry["factors"].values())
            figures += [
                Figure(f"{name}: training", entry["minutes"], "min"),
                Figure(f"{name}: images seen", entry["images"]),
                Figure(f"{name}: Fréchet generated / test", entry["frechet_generated_vs_test"]),
                Figure(f"{name}: region accuracy", entry["region_accuracy"], at_least=NEEDED.get(name)),
                *(
                    Figure(f"{name}: {factor}, rho generated / real", share(f))
                    for factor, f in entry["factors"].items()
                ),
                Figure(f"{name}: factors at half of real", followed, at_least=FACTORS_NEEDED.get(name)),
                Figure(f"{name}: per 1,000 images", entry["seconds_per_1000_images"], "s"),
            ]  # fmt: skip
        last = scores[names[-1]]
        figures += [
            Figure("real training patches: Fréchet / test", last["frechet_train_vs_test"]),
            Figure("real patches: region accuracy", last["region_accuracy_real"]),
        ]
        if any(name.startswith("sd") for name in names):
            figures.append(Figure("autoencoder: reconstruction", self.reconstruction(), "dB"))
        self.draw_grid(names)
        print(table(scores), f"\npictures: {self.root / 'grid.png'}", flush=True)
        return figures

    def prepare(self) -> None:
        phantom = self.root / "phantom"
        self.once(phantom, "data", "simulate", phantom, "--preset", "demo", "--seed", self.seed)
        self.once(self.dataset, "data", "build", phantom / "study.toml", "--out", self.dataset)
        self.once(
            self.encoders / "model", "encoders", "train", self.dataset, "--out", self.encoders, "--preset", "tiny",
            "--seed", self.seed,
        )  # fmt: skip
        self.once(self.embeddings, "encoders", "embed", self.dataset, self.encoders / "model", "--out", self.embeddings)

    def entry(self, name: str) -> dict[str, Any]:
        """One row of the table."""
        kept = self.root / f"{name}-{self.minutes:g}min.json"
        if kept.exists():
            return dict(json.loads(kept.read_text()))
        run = self.root / "runs" / f"{name}-{self.minutes:g}min"
        images = self.train(name, run)
        drawn, seconds = self.generate(name, run)
        record = self.score(drawn)
        minutes = images / rate_of(run) / 60
        record |= {"images": images, "minutes": minutes, "seconds_per_1000_images": seconds}
        kept.write_text(json.dumps(record, indent=2) + "\n")
        return record

    def train(self, name: str, run: Path) -> int:
        """Train for as long as wanted, by a count of images measured beforehand; give the count."""
        command, counted = self.command(name)
        planned = run.with_name(f"{run.name}.images")
        if not planned.exists():
            images = self.images_in(self.minutes, command, counted)
            planned.write_text(str(images))
        images = int(planned.read_text())
        self.once(run / "model", *command, "--set", f"{counted}={images}", "--out", run)
        return images

    def images_in(self, minutes: float, command: list[Any], counted: str) -> int:
        """How many images a command gets through in so many minutes, in whole batches of 32."""
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            run = Path(scratch) / "run"
            g2m(*command, "--set", f"{counted}={CALIBRATION_IMAGES}", "--out", run)
            return max(round(rate_of(run) * 60 * minutes / 32), 1) * 32

    def command(self, name: str) -> tuple[list[Any], str]:
        """The training command of a row, and the setting that says for how many images."""
        common = ["--seed", self.seed, "--log-with", "none"]
        if name == "gan":
            model = self.encoders / "model"
            command = ["gan", "train", self.dataset, self.embeddings, "--encoder", model, "--preset", "tiny", *common]
            return command, "stages.0.total_images"
        changed = [*DENOISERS, *(PAPER if name == "sd-paper" else [])]
        overrides = [word for setting in changed for word in ("--set", setting)]
        command = ["diffusion", "train", self.dataset, self.embeddings, *common, *overrides]
        if name == "tissue":
            return [*command, "--preset", "tiny"], "total_images"
        return [*command, "--preset", "tiny-sd", "--autoencoder", self.autoencoder()], "total_images"

    def autoencoder(self) -> Path:
        run = self.root / "runs" / f"autoencoder-{self.minutes:g}min"
        command = [
            "diffusion",
            "train-vae",
            self.dataset,
            "--preset",
            "tiny",
            "--log-with",
            "none",
            "--seed",
            self.seed,
        ]
        planned = run.with_name(f"{run.name}.images")
        if not planned.exists():
            planned.write_text(str(self.images_in(self.minutes / 6, command, "total_images")))
        self.once(run / "model", *command, "--set", f"total_images={planned.read_text()}", "--out", run)
        return run / "model"

    def reconstruction(self) -> float:
        """Peak signal to noise of real test patches that went through the autoencoder, in dB."""
        import torch

        from g2m_data import open_dataset
        from g2m_diffusion import load_autoencoder
        from g2m_eval.resize import resize_patches

        real = resize_patches(open_dataset(self.dataset, split="test").patches(slice(None)), 64)
        model = load_autoencoder(str(self.autoencoder()))
        errors = []
        for start in range(0, len(real), 64):
            images = torch.from_numpy(real[start : start + 64]).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.no_grad():
                again = model.decode(model.encode(images).latent_dist.mean).sample
            errors.append((again - images).square().mean(dim=(1, 2, 3)))
        return float(10 * torch.log10(4 / torch.cat(errors).mean()))

    def generate(self, name: str, run: Path) -> tuple[Path, float]:
        """Draw every test spot without guidance; give the folder and the seconds for 1,000 images."""
        from g2m_cli.generation import read_generated

        out = self.root / "generated" / run.name
        folder = out if name == "gan" else out.with_name(f"{out.name}-w1")
        group, guidance = ("gan", []) if name == "gan" else ("diffusion", ["--guidance", "1", "--steps", STEPS])
        self.once(folder, group, "generate", run / "model", self.embeddings, "--out", out, *guidance)
        return folder, read_generated(folder)[2]["timing"]["seconds_per_1000_images"]

    def score(self, drawn: Path) -> dict[str, Any]:
        """The entry that a report has for a generator; shuffled conditions are left out, so that figure is not one."""
        from g2m_cli.evaluation.scoring import load_test_spots, training_patches
        from g2m_cli.generation import read_generated
        from g2m_data import open_dataset
        from g2m_eval import PRESETS, SmallExtractor, evaluate_generator, train_extractor

        settings, spots = PRESETS["tiny"], load_test_spots(self.dataset)
        images, index, _ = read_generated(drawn)
        assert list(index["spot"]) == list(spots.dataset.obs.index)
        train = open_dataset(self.dataset, split="train")
        rows, regions = training_patches(train, settings.train_patches, self.seed)
        patches, kept = train.patches(rows), self.root / "extractor"
        if not kept.exists():
            train_extractor(
                patches, regions, resolution=images.shape[1], seed=self.seed, steps=settings.extractor_steps
            ).save(kept)
        evaluation = evaluate_generator(
            extractor=SmallExtractor.load(kept),
            train=patches,
            test=spots.patches,
            generated=images,
            shuffled=images,
            patch_um=55.0,
            samples=spots.samples,
            train_regions=regions,
            truth=spots.truth,
            factors=spots.dataset.truth_factors(),
            permutations=settings.permutations,
            seed=self.seed,
        )
        return {key: value for key, value in evaluation.metrics.items() if "shuffled" not in key}

    def draw_grid(self, names: list[str]) -> None:
        """The same test spots, a row a model, the real patches above."""
        import matplotlib.pyplot as plt

        from g2m_cli.evaluation.scoring import load_test_spots
        from g2m_cli.generation import read_generated

        spots = load_test_spots(self.dataset)
        regions = spots.truth["region"].to_numpy(dtype=str)
        pure = spots.truth["purity"].to_numpy() >= 0.9
        columns = np.concatenate(
            [np.flatnonzero((regions == region) & pure)[:REGION_COLUMNS] for region in np.unique(regions[pure])]
        )
        rows = {"real": spots.patches}
        for name in names:
            folder = f"{name}-{self.minutes:g}min" + ("" if name == "gan" else "-w1")
            rows[name] = read_generated(self.root / "generated" / folder)[0]
        figure, axes = plt.subplots(len(rows), len(columns), figsize=(1.3 * len(columns), 1.4 * len(rows)))
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            for axis, column in zip(line, columns, strict=True):
                axis.imshow(images[column])
                axis.set(xticks=[], yticks=[])
                if name == "real":
                    axis.set_title(regions[column], fontsize=9)
            line[0].set_ylabel(name, fontsize=9)
        figure.tight_layout(pad=0.3)
        figure.savefig(self.root / "grid.png", dpi=150)
        plt.close(figure)

    def once(self, result: Path, *arguments: object) -> None:
        if not result.exists():
            g2m(*arguments)


def share(factor: dict[str, Any]) -> float:
    """What generated patches reach of the within-region correlation of real ones."""
    return factor["within_region_generated"] / factor["within_region_real"]


def table(scores: dict[str, dict[str, Any]]) -> str:
    """The comparison as Markdown."""
    factors = list(next(iter(scores.values()))["factors"])
    head = ["model", "images", "min", "Fréchet", "region", *factors, "s / 1,000"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, entry in scores.items():
        cells = [
            name,
            f"{entry['images']:,}",
            f"{entry['minutes']:.1f}",
            f"{entry['frechet_generated_vs_test']:.2f}",
            f"{entry['region_accuracy']:.3f}",
            *(
                "{within_region_generated:.2f} of {within_region_real:.2f}".format(**entry["factors"][factor])
                for factor in factors
            ),
            f"{entry['seconds_per_1000_images']:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def g2m(*arguments: object) -> None:
    command = [str(Path(sys.executable).with_name("g2m")), *map(str, arguments)]
    print("$ g2m", *command[1:], file=sys.stderr, flush=True)
    code = subprocess.call(command)
    if code:
        sys.exit(f"g2m {' '.join(command[1:])} ended with {code}")


def rate_of(run: Path) -> float:
    """Images a second in training, from where it began, or last went on, to its end."""
    from g2m_cli.metrics_log import read_metrics

    return [row for row in read_metrics(run) if "images_per_second" in row][-1]["images_per_second"]
