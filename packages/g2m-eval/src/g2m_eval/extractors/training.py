"""Train the metrics' own extractor on real training patches: on regions if there are any, else on itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from g2m_eval.errors import InputError
from g2m_eval.extractors.augmentation import augment
from g2m_eval.extractors.network import NetworkShape, SmallCnn
from g2m_eval.extractors.small import SmallExtractor, as_floats
from g2m_eval.resize import resize_patches

Track = Callable[..., Iterable[Any]]


def pass_through(sequence: Iterable[Any], description: str = "", total: int | None = None) -> Iterable[Any]:
    """Report no progress: the default of every ``track``."""
    return sequence


def train_extractor(
    patches: UInt8[np.ndarray, "n height width 3"],
    labels: Sequence[str | None] | np.ndarray | None = None,
    *,
    resolution: int,
    seed: int = 0,
    steps: int = 600,
    batch_size: int = 64,
    learning_rate: float = 6e-3,
    device: torch.device | str = "cpu",
    track: Track = pass_through,
) -> SmallExtractor:
    """Train a small network for the metrics alone.

    With labels: cross-entropy on regions, drawn equally often, of flipped, turned, restained and blurred patches.
    Without: two such views of one patch are to recognise each other among the batch (Chen et al. 2020, NT-Xent).
    Training is counted in steps and not in seconds, so that the same seed gives the same network on the same machine.

    Parameters
    ----------
    patches
        Real patches of training sections: nothing else may decide what a metric looks at.
    labels
        Region of each patch; patches labelled None or "" (of mixed regions, say) are left out. None trains without
        labels.
    resolution
        Pixels a side at which images are compared: that of the generated ones.
    seed
        Of the initial weights, the order of patches and the augmentations.
    steps, batch_size, learning_rate
        Optimiser updates, patches in each, and the highest rate of AdamW's one-cycle schedule.
    track
        Called as ``rich.progress.track``.

    Returns
    -------
    The extractor, on ``device``.

    Raises
    ------
    InputError
        Labels and patches differ in number, fewer than two regions are labelled, or there are fewer than two patches.
    """
    if len(patches) < 2:
        raise InputError(f"training the metrics' network needs at least 2 patches, got {len(patches)}")
    small = resize_patches(patches, resolution)
    classes: tuple[str, ...] = ()
    targets = np.zeros(len(small), dtype=np.int64)
    if labels is not None:
        small, targets, classes = _labelled(small, labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmallCnn(NetworkShape(classes=len(classes)))
        width = network.shape.features
        projection = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 64))
    network.to(device).train()
    projection.to(device)
    trained = [*network.parameters(), *(() if classes else projection.parameters())]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps, pct_start=0.2)
    generator = torch.Generator().manual_seed(seed)
    kind = "regions" if classes else "self-supervised"
    for _ in track(range(steps), description=f"metrics' network ({kind})", total=steps):
        chosen = _draw(targets, len(classes), batch_size, generator)
        batch = as_floats(small[chosen]).to(device)
        if classes:
            logits = network.classify(network(augment(batch, generator)))
            loss = functional.cross_entropy(logits, torch.from_numpy(targets[chosen]).to(device), label_smoothing=0.05)
        else:
            views = [projection(network(augment(batch, generator, smallest_crop=0.6))) for _ in range(2)]
            loss = nt_xent(views[0], views[1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return SmallExtractor(network, supervision=kind, resolution=resolution, classes=classes)


def nt_xent(a: Float[Tensor, "n dim"], b: Float[Tensor, "n dim"], temperature: float = 0.2) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross-entropy between two views of the same patches (Chen et al. 2020, Eq. 1)."""
    both = functional.normalize(torch.cat([a, b]), dim=1)
    n = len(a)
    itself = torch.eye(2 * n, dtype=torch.bool, device=both.device)
    similarity = (both @ both.T / temperature).masked_fill(itself, float("-inf"))
    partner = torch.arange(2 * n, device=both.device).roll(n)
    return functional.cross_entropy(similarity, partner)


def _labelled(
    patches: UInt8[np.ndarray, "n height width 3"], labels: Sequence[str | None] | np.ndarray
) -> tuple[UInt8[np.ndarray, "m height width 3"], Int[np.ndarray, " m"], tuple[str, ...]]:
    if len(labels) != len(patches):
        raise InputError(f"training on regions needs one label a patch, got {len(labels)} for {len(patches)} patches")
    named = np.array(["" if label is None or label != label else str(label) for label in labels], dtype=str)
    classes, targets = np.unique(named[named != ""], return_inverse=True)
    if len(classes) < 2:
        raise InputError(f"training on regions needs two regions, got {classes.tolist()}: train without labels instead")
    return patches[named != ""], targets.astype(np.int64), tuple(classes.tolist())


def _draw(
    targets: Int[np.ndarray, " n"], classes: int, batch_size: int, generator: torch.Generator
) -> Int[np.ndarray, " batch"]:
    """Indices of a batch: regions equally often, patches of one region equally likely; distinct ones without labels."""
    if not classes:
        return torch.randperm(len(targets), generator=generator)[:batch_size].numpy()
    picked = torch.randint(0, classes, (batch_size,), generator=generator).numpy()
    place = torch.rand(batch_size, generator=generator).numpy()
    members = [np.flatnonzero(targets == c) for c in range(classes)]
    return np.array([members[c][int(u * len(members[c]))] for c, u in zip(picked, place, strict=True)])
