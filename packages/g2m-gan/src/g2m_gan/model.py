"""A trained StyleGAN-G: files, and images for embeddings."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from g2m_gan.config import GanSettings
from g2m_gan.errors import InputError
from g2m_gan.generator import Generator
from g2m_gan.noise import Stream, draw_normal
from g2m_gan.replaced_folder import replaced_folder
from g2m_gan.views import to_uint8

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
FORMAT = "g2m-gan/1"


class StyleGanG(nn.Module):
    """From expression embeddings to histology patches.

    Parameters
    ----------
    settings
        What the generator was trained with; saved beside the weights.
    generator
        The averaged generator.
    provenance
        Anything JSON can hold about where the weights come from.
    """

    def __init__(
        self, settings: GanSettings, generator: Generator, provenance: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.generator = generator
        self.provenance = dict(provenance or {})

    @property
    def resolution(self) -> int:
        """Width of the images in pixels."""
        return self.generator.resolution

    def draw(
        self, conditions: Float[Tensor, "n dim"], keys: Int[Tensor, " m"], truncation: float = 1.0
    ) -> Float[Tensor, "m 3 h w"]:
        """Draw one image for each condition and key, all at once, with a gradient to the conditions.

        Returns
        -------
        Images nominally in [-1, 1], where the model is; `generate` gives the same as numbers from 0 to 255.

        Raises
        ------
        InputError
            Lengths do not match each other or the model.
        """
        self._check(conditions, keys)
        device = self.generator.mapping.mean.device
        keys = keys.to(device)
        z_dim, noise_count = self.settings.generator.z_dim, sum(self.generator.noise_counts)
        draws = draw_normal(keys, Stream.LATENT, z_dim + noise_count)
        images: Tensor = self.generator(draws[:, :z_dim], conditions.to(device), draws[:, z_dim:], truncation)
        return images

    @torch.no_grad()
    def generate(
        self,
        conditions: Float[Tensor, "n dim"] | NDArray[np.floating[Any]],
        keys: Int[Tensor, " m"] | NDArray[np.integer[Any]],
        truncation: float = 1.0,
        *,
        batch_size: int = 32,
    ) -> UInt8[Tensor, "m 3 h w"]:
        """Draw one image for each condition and key.

        Parameters
        ----------
        conditions
            Expression embeddings.
        keys
            The noise: the same key gives the same noise whatever the batch; with the same condition, the same image.
        truncation
            1: noise as in training; towards 0, images of one condition grow alike.
        batch_size
            Images drawn at once.

        Returns
        -------
        On the CPU.

        Raises
        ------
        InputError
            Lengths do not match each other or the model.
        """
        conditions = torch.as_tensor(conditions, dtype=torch.float32)
        keys = torch.as_tensor(keys, dtype=torch.int64)
        self._check(conditions, keys)
        images = torch.empty(len(keys), 3, self.resolution, self.resolution, dtype=torch.uint8)
        for start in range(0, len(keys), batch_size):
            part = slice(start, start + batch_size)
            images[part] = to_uint8(self.draw(conditions[part], keys[part], truncation)).cpu()
        return images

    def _check(self, conditions: Tensor, keys: Tensor) -> None:
        expected = self.generator.condition_dim
        if conditions.ndim != 2 or conditions.shape[1] != expected:
            raise InputError(f"conditions have shape {tuple(conditions.shape)}: this model expects (n, {expected})")
        if keys.shape != conditions.shape[:1]:
            raise InputError(f"{len(conditions)} conditions but keys of shape {tuple(keys.shape)}: give one key each")

    def save_pretrained(self, directory: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Write weights, settings and a model card into a folder; it appears complete or not at all.

        Whom the user's umask allows may read it.

        Parameters
        ----------
        directory
            Replaced if it is there.
        provenance
            Added to what the model holds already.
        """
        config = {
            "format": FORMAT,
            "condition_dim": self.generator.condition_dim,
            "resolution": self.resolution,
            "settings": dataclasses.asdict(self.settings),
            "provenance": self.provenance | dict(provenance or {}),
        }
        with replaced_folder(Path(directory)) as folder:
            weights = {name: value.detach().cpu().contiguous() for name, value in self.generator.state_dict().items()}
            save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
            (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
            (folder / CARD).write_text(_model_card(config, sum(w.numel() for w in self.generator.parameters())))

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> "StyleGanG":
        """Read what `save_pretrained` wrote.

        Raises
        ------
        InputError
            A file is missing or damaged, or does not fit its settings.
        """
        folder = Path(directory)
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise InputError(
                    f"{folder / name}: not found; expected a folder written by g2m_gan, with {CONFIG} and {WEIGHTS}"
                )
        try:
            config = json.loads((folder / CONFIG).read_text())
            settings = GanSettings.from_dict(config["settings"])
            with torch.random.fork_rng(devices=[]):  # the weights it starts with are overwritten below
                generator = Generator(settings.generator, config["condition_dim"], config["resolution"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder / CONFIG}: not a StyleGAN-G configuration ({error}); export the model again"
            ) from error
        try:
            generator.load_state_dict(load_file(folder / WEIGHTS))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{folder / WEIGHTS}: does not hold this model's weights ({reason}); copy it again"
            ) from error
        return cls(settings, generator.requires_grad_(False).eval(), config.get("provenance"))


def _model_card(config: Mapping[str, Any], parameters: int) -> str:
    lines = [
        "---",
        "library_name: g2m-gan",
        "tags: [histology, spatial-transcriptomics, gan]",
        "---",
        "",
        "# StyleGAN-G",
        "",
        f"Draws {config['resolution']} x {config['resolution']} px histology patches from "
        f"{config['condition_dim']}-dimensional expression embeddings; {parameters / 1e6:.2f} M parameters.",
        "It only understands embeddings of the expression encoder it was trained with. Not for diagnosis.",
        "",
        "```python",
        "from g2m_gan import StyleGanG",
        "",
        'model = StyleGanG.from_pretrained("this folder")',
        "images = model.generate(embeddings, keys)  # (n, dim), int64 (n,) -> uint8 (n, 3, height, width)",
        "```",
    ]
    if config["provenance"]:
        lines += ["", "## Provenance", "", "```json", json.dumps(config["provenance"], indent=2), "```"]
    return "\n".join(lines) + "\n"
