"""Inception-v3 as FID and KID mean it: torch-fidelity's own network, fed by the hub or by a local file."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from g2m_eval.errors import InputError

_FILE = Path(urlparse(URL_INCEPTION_V3).path)
_PUBLISHED = _FILE.stem.rpartition("-")[2]  # torch-fidelity puts the start of the file's SHA-256 into its name
_LAYER = "2048"


class InceptionExtractor:
    """2048 pooled features of Inception-v3, at 299 px by the network's own resize (TensorFlow 1's bilinear one).

    Give it patches of one size that is the same for both sets: resizing them beforehand makes other numbers.

    Parameters
    ----------
    network
        torch-fidelity's network.
    sha256
        Of the file of weights.
    device
        Where to compute.
    """

    def __init__(
        self, network: FeatureExtractorInceptionV3, *, sha256: str, device: torch.device | str = "cpu"
    ) -> None:
        self.network = network.to(device)
        self.sha256 = sha256
        self.device = torch.device(device)

    @classmethod
    def load(cls, path: Path | str | None = None, *, device: torch.device | str = "cpu") -> InceptionExtractor:
        """Open the weights that torch-fidelity publishes, or a file in their layout.

        Parameters
        ----------
        path
            The file; None takes it from the hub's cache, and downloads it once where it is not there.

        Raises
        ------
        InputError
            It cannot be had, cannot be read, or holds another network.
        """
        file = fetch_inception() if path is None else Path(path)
        try:
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            # torch-fidelity unpickles whatever it is given: a file that would run code is refused here, before
            weights = torch.load(file, map_location="cpu", weights_only=True)
            _check(weights, file)
            network = FeatureExtractorInceptionV3("inception", [_LAYER], feature_extractor_weights_path=str(file))
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, AttributeError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"{file}: not the weights of Inception-v3 ({reason}); give the file that {URL_INCEPTION_V3} holds"
            ) from error
        return cls(network, sha256=sha256, device=device)

    @property
    def published(self) -> bool:
        """Whether these are the published weights: with no others is a distance called FID or KID."""
        return self.sha256.startswith(_PUBLISHED)

    @property
    def revision(self) -> str | None:
        """Name of the published file; None of other weights."""
        return _FILE.stem if self.published else None

    @property
    def licence(self) -> str | None:
        """Of the published weights, which come with torch-fidelity; None of other weights, where it is not known."""
        return "Apache-2.0" if self.published else None

    @property
    def name(self) -> str:
        """For example "inception-v3 2048 672682"."""
        return f"inception-v3 {_LAYER} {self.sha256[:6]}"

    @torch.inference_mode()
    def features(
        self, images: UInt8[np.ndarray, "n height width 3"], *, batch_size: int = 64
    ) -> Float[np.ndarray, "n dim"]:
        """Features (float32) of images of any one size, a batch at a time."""
        found = np.empty((len(images), int(_LAYER)), dtype=np.float32)
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size])).permute(0, 3, 1, 2)
            found[start : start + batch_size] = self.network(batch.to(self.device))[0].cpu().numpy()
        return found


def fetch_inception(*, online: bool = True) -> Path:
    """See to it that the file of weights that torch-fidelity publishes is in the hub's cache, and give it.

    Parameters
    ----------
    online
        False: only look.

    Raises
    ------
    InputError
        It cannot be had, or is not there.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / _FILE.name
    if not file.is_file():
        try:
            if not online:
                raise OSError("not looked for beyond this machine")
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(file), hash_prefix=_PUBLISHED, progress=False)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"cannot fetch the weights of Inception-v3 ({error}); connect, or fetch {URL_INCEPTION_V3} elsewhere "
                f"and give the file as `path` (`--weights` of `g2m eval images`) or put it at {file}"
            ) from error
    return file


def _check(weights: object, file: Path) -> None:
    last = weights.get("Mixed_7c.branch_pool.conv.weight") if isinstance(weights, dict) else None
    if last is None or "fc.weight" not in weights:  # type: ignore[operator]
        raise InputError(
            f"{file}: weights of another network than torch-fidelity's Inception-v3; give the file that "
            f"{URL_INCEPTION_V3} holds"
        )
