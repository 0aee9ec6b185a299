"""Small stand-ins for data, training loop and weights; also imported by the processes of the distributed test."""

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import timm
import torch
from safetensors.torch import save_file

from g2m_encoders import PRESETS, ContrastiveModel, ContrastiveTask, EncoderSettings

GENES = [f"Gene{i}" for i in range(24)]


class PlainAccelerator:
    """The least that a task asks of Accelerate."""

    device = torch.device("cpu")

    def prepare(self, *objects):
        return objects

    def backward(self, loss):
        loss.backward()


class ToyPairs:
    """Pairs whose first genes set the patch's colour, so that there is something to learn."""

    def __init__(self, n: int, genes: list[str], seed: int = 0):
        rng = np.random.default_rng(seed)
        self.genes = genes
        factors = rng.random((n, 3))
        self._expression = rng.random((n, len(genes))).astype(np.float32)
        self._expression[:, :3] = 3 * factors
        self.patches = (factors[:, :, None, None] * 200 + rng.random((n, 3, 32, 32)) * 55).astype(np.uint8)
        self.obs = pd.DataFrame(
            {"sample": "a", "x": rng.random(n) * 1000, "y": rng.random(n) * 1000}, index=[f"a:{i}" for i in range(n)]
        )

    def __len__(self):
        return len(self._expression)

    def expression(self, indices):
        return self._expression[indices]

    def batch(self, indices, seen: int = 0):
        return {
            "key": torch.as_tensor(np.asarray(indices) * 1009 + seen),
            "patch": torch.from_numpy(self.patches[indices]),
            "expression": torch.from_numpy(self._expression[indices]),
        }

    def batches(self, size: int, steps: int) -> Iterator[tuple[int, dict]]:
        for step in range(steps):
            indices = np.random.default_rng(step).permutation(len(self))[:size]
            yield step * size, self.batch(indices, step * size)


def small_settings() -> EncoderSettings:
    tiny = PRESETS["tiny"]
    return dataclasses.replace(
        tiny,
        expression=dataclasses.replace(tiny.expression, hidden=32, features=16),
        image=dataclasses.replace(tiny.image, input_size=32, dropout=0.2),
        optimizer=dataclasses.replace(tiny.optimizer, warmup_images=0, decay="constant", lr=1e-3),
        embedding_dim=16,
        batch_size=16,
    )


# UNI's architecture and layout on the hub, with a fraction of its width and depth
SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}


OWN_MEAN, OWN_STD = (0.7, 0.5, 0.6), (0.2, 0.3, 0.25)  # far enough from ImageNet's to be told from it


def write_uni(
    folder,
    *,
    model_args,
    layer_scale_in_config=True,
    with_head=False,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
):
    torch.manual_seed(1)
    classes = 7 if with_head else 0
    network = timm.create_model("vit_large_patch16_224", init_values=1e-5, num_classes=classes, **model_args)
    folder.mkdir()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "model.safetensors")
    arguments = dict(model_args) | ({"init_values": 1e-5, "dynamic_img_size": True} if layer_scale_in_config else {})
    config = {
        "architecture": "vit_large_patch16_224",
        "num_classes": 0,
        "num_features": network.num_features,
        "global_pool": "token",
        "model_args": arguments,
        "pretrained_cfg": {"classifier": "head", "mean": mean, "std": std},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: cc-by-nc-nd-4.0\ntags: [x]\n---\n# UNI\n")
    return network.eval()


def train_in_shares(
    settings, accelerator, rank: int, world: int, *, steps: int = 20, batch_size: int = 16
) -> list[float]:
    """Losses of one process of several, and last the sum of the genes' counts.

    In double precision: Adam's first updates follow the signs of gradients that are nearly 0, so that in single
    precision another order of summation alone carries equal trainings apart by a hundredth within twenty steps.
    """
    pairs = ToyPairs(96, GENES)
    task = ContrastiveTask(settings, ContrastiveModel.build(settings, GENES).double())
    task.prepare(accelerator)
    share = slice(rank * batch_size // world, (rank + 1) * batch_size // world)
    losses = []
    for seen, batch in pairs.batches(batch_size, steps):
        mine = {k: v[share] for k, v in batch.items()}
        losses.append(float(task.step(mine | {"expression": mine["expression"].double()}, seen)["loss"]))
    return [*losses, float(task.gene_counts.sum())]
