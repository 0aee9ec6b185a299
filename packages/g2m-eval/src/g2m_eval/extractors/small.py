"""Named feature extractors: the metrics' own network, saved as safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from g2m_eval.errors import InputError
from g2m_eval.extractors.augmentation import eight_views
from g2m_eval.extractors.network import NetworkShape, SmallCnn
from g2m_eval.resize import resize_patches

_FORMAT = 1


class SmallExtractor:
    """The metrics' own network, which shares no weights with anything that trains a generator.

    Parameters
    ----------
    network
        The network, put into evaluation mode.
    supervision
        "regions" or "self-supervised".
    resolution
        Pixels a side to which images are brought first.
    classes
        Regions in the order of the network's outputs; empty without labels.
    """

    def __init__(self, network: SmallCnn, *, supervision: str, resolution: int, classes: tuple[str, ...] = ()) -> None:
        self.network = network.eval().requires_grad_(False)
        self._merged = network.merged()
        self.supervision = supervision
        self.resolution = resolution
        self.classes = classes
        self._hash = _hash_weights(network)

    @property
    def name(self) -> str:
        """For example "g2m-small-cnn regions 64px 3f2a91"."""
        return f"g2m-small-cnn {self.supervision} {self.resolution}px {self._hash[:6]}"

    def to(self, device: torch.device | str) -> SmallExtractor:
        """Move the network; returns itself."""
        self.network.to(device)
        self._merged.to(device)
        return self

    @torch.inference_mode()
    def features(
        self, images: UInt8[np.ndarray, "n height width 3"], *, batch_size: int = 256
    ) -> Float[np.ndarray, "n dim"]:
        """Features (float32) of images of any one size, a batch at a time."""
        found = np.empty((len(images), self.network.shape.features), dtype=np.float32)
        for part, batch in self._batches(images, batch_size):
            found[part] = self._merged(batch).cpu().numpy()
        return found

    @torch.inference_mode()
    def predict(self, images: UInt8[np.ndarray, "n height width 3"], *, batch_size: int = 256) -> np.ndarray:
        """Most likely region of each image, its eight turned and mirrored views heard alike.

        Raises
        ------
        InputError
            The extractor was trained without regions.
        """
        if not self.classes:
            raise InputError(f"extractor {self.name!r} was trained without regions and cannot name them")
        chosen = np.empty(len(images), dtype=np.int64)
        for part, batch in self._batches(images, batch_size):
            votes = [self._merged.classify(self._merged(view)).softmax(dim=1) for view in eight_views(batch)]
            chosen[part] = torch.stack(votes).mean(dim=0).argmax(dim=1).cpu().numpy()
        return np.asarray(np.array(self.classes)[chosen])

    def _batches(
        self, images: UInt8[np.ndarray, "n height width 3"], batch_size: int
    ) -> Iterator[tuple[slice, Float[Tensor, "n 3 size size"]]]:
        device = next(self.network.parameters()).device
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            yield part, as_floats(resize_patches(images[part], self.resolution)).to(device)

    def save(self, directory: Path) -> None:
        """Write ``weights.safetensors`` and ``extractor.json``; the directory appears complete or not at all.

        Raises
        ------
        InputError
            The directory exists.
        """
        directory = Path(directory)
        if directory.exists():
            raise InputError(f"{directory} exists: give another place, or remove it first")
        directory.parent.mkdir(parents=True, exist_ok=True)
        building = Path(mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            save_file(
                {k: v.cpu().contiguous() for k, v in self.network.state_dict().items()},
                building / "weights.safetensors",
            )
            description = {
                "format": _FORMAT,
                "name": self.name,
                "supervision": self.supervision,
                "resolution": self.resolution,
                "classes": list(self.classes),
                "widths": list(self.network.shape.widths),
                "weights_sha256": self._hash,
            }
            (building / "extractor.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
            building.chmod(0o755)
            building.rename(directory)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    @classmethod
    def load(cls, directory: Path) -> SmallExtractor:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            A file is missing, unreadable, or the weights are not those that were named.
        """
        path = Path(directory) / "extractor.json"
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            shape = NetworkShape(widths=tuple(saved["widths"]), classes=len(saved["classes"]))
            network = SmallCnn(shape)
            network.load_state_dict(load_file(path.with_name("weights.safetensors")))
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"{path}: not a saved extractor ({error}): train it again or give another folder"
            ) from error
        extractor = cls(
            network, supervision=saved["supervision"], resolution=saved["resolution"], classes=tuple(saved["classes"])
        )
        if extractor._hash != saved["weights_sha256"]:
            raise InputError(f"{path}: the weights beside it are not the ones it names: train the extractor again")
        return extractor


def as_floats(images: UInt8[np.ndarray, "n height width 3"]) -> Float[Tensor, "n 3 height width"]:
    """Images as reflectances in [0, 1], channels first."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(255)


def _hash_weights(network: SmallCnn) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
