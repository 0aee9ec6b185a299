"""Image backbones by timm name, hub id or local folder, and where their weights come from."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from timm.models import is_model, load_state_dict, model_entrypoint
from torch import Tensor, nn

from g2m_encoders.errors import InputError

HUB_PREFIX = "hf-hub:"
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # in order of preference; timm opens .bin with weights_only


@dataclass(frozen=True, kw_only=True)
class BackboneRecord:
    """What a model stands on: enough to build it again, fetch its weights and tell whether they are the same."""

    name: str  # as it was asked for: timm name, hf-hub:owner/name[@revision], or folder
    architecture: str  # timm's name of the network
    model_args: dict[str, Any] = field(default_factory=dict)  # timm.create_model's arguments beside it
    pretrained: bool = False
    revision: str | None = None  # the hub's commit
    licence: str | None = None  # of the weights, as their publisher states it
    sha256: str | None = None  # of the weights


def load_backbone(name_or_path: str | Path, *, pretrained: bool = True) -> nn.Module:
    """A timm network without classifier: pooled features (n, num_features) from normalised images.

    Parameters
    ----------
    name_or_path
        A timm name (`resnet18`), a hub id (`hf-hub:MahmoodLab/UNI`, `hf-hub:owner/name@revision`), or a folder with
        `config.json` and `model.safetensors` in timm's layout.
    pretrained
        False: that architecture with random weights, drawn from torch's global generator.

    Raises
    ------
    InputError
        If it does not exist, is gated or unreachable, or if weights and architecture disagree.
    """
    return open_backbone(name_or_path, pretrained=pretrained)[0]


def open_backbone(name_or_path: str | Path, *, pretrained: bool = True) -> tuple[nn.Module, BackboneRecord]:
    """As `load_backbone`, with the record of what was loaded."""
    name = str(name_or_path)
    if name.startswith(HUB_PREFIX):
        folder = _fetch(name, pretrained=pretrained)
        return _open_folder(folder, name, pretrained=pretrained, revision=folder.name)
    if Path(name).is_dir():
        return _open_folder(Path(name), name, pretrained=pretrained, revision=None)
    return _open_timm(name, pretrained=pretrained)


def rebuild_backbone(record: BackboneRecord) -> nn.Module:
    """The recorded architecture with random weights; needs neither network nor the original files."""
    return timm.create_model(record.architecture, pretrained=False, **record.model_args)


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over a module's parameters and buffers, names and shapes included."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _open_timm(name: str, *, pretrained: bool) -> tuple[nn.Module, BackboneRecord]:
    architecture = name.split(".")[0]
    if "/" in name or not is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"a hub id starts with {HUB_PREFIX!r}"
        raise InputError(f"backbone {name!r} is neither a timm model nor an existing folder; {hint}")
    model_args = {"num_classes": 0} | _sizing(architecture)
    try:
        with _quiet_hub():
            backbone = timm.create_model(name, pretrained=pretrained, **model_args)
    except (OSError, RuntimeError, EntryNotFoundError) as error:
        raise InputError(
            f"cannot fetch the weights of backbone {name!r} ({_reason(error)}); connect to huggingface.co, "
            "give a local folder with config.json and model.safetensors, or set image.pretrained to false"
        ) from error
    published = timm.get_pretrained_cfg(name) if pretrained else None
    record = BackboneRecord(
        name=name,
        architecture=architecture,
        model_args=model_args,
        pretrained=pretrained,
        licence=published.license if published else None,
        sha256=fingerprint(backbone) if pretrained else None,
    )
    return backbone, record


def _fetch(name: str, *, pretrained: bool) -> Path:
    """Bring a hub repository's configuration, card and weights into the local cache; the folder of that commit."""
    repository, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
    try:
        with _quiet_hub():
            return _download(repository, revision or None, pretrained=pretrained)
    except GatedRepoError as error:
        raise InputError(
            f"backbone {name!r} is gated: request access at https://huggingface.co/{repository}, "
            "then run 'hf auth login', or set image.backbone to a local folder with its config.json and weights"
        ) from error
    except (OSError, EntryNotFoundError, HFValidationError) as error:
        raise InputError(
            f"cannot fetch backbone {name!r} ({_reason(error)}); check the id and the connection to huggingface.co "
            "(gated: request access there, then 'hf auth login'), or set image.backbone to a local folder "
            "with its config.json and weights"
        ) from error


def _download(repository: str, revision: str | None, *, pretrained: bool) -> Path:
    config = Path(hf_hub_download(repository, "config.json", revision=revision))
    commit = config.parent.name
    with suppress(EntryNotFoundError):
        hf_hub_download(repository, "README.md", revision=commit)
    if pretrained:
        _download_first(repository, _WEIGHT_FILES, commit)
    return config.parent


def _download_first(repository: str, files: tuple[str, ...], commit: str) -> None:
    """Fetch the first of `files` that the repository (or, without a connection, the local cache) has."""
    for file in files:
        try:
            hf_hub_download(repository, file, revision=commit)
        except EntryNotFoundError:
            if file == files[-1]:
                raise
        else:
            return


def _open_folder(
    folder: Path, name: str, *, pretrained: bool, revision: str | None
) -> tuple[nn.Module, BackboneRecord]:
    config_file = folder / "config.json"
    try:
        config = json.loads(config_file.read_text())
        architecture = config["architecture"]
    except FileNotFoundError as error:
        raise InputError(f"{folder} has no config.json; expected a backbone folder in timm's layout") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{config_file} is not a timm model configuration: no readable 'architecture' in it"
        ) from error
    if not is_model(architecture):
        raise InputError(
            f"{config_file}: architecture {architecture!r} is unknown to timm {timm.__version__}; upgrade timm"
        )
    details = config.get("pretrained_cfg", config)
    weights = _read_weights(folder) if pretrained else {}
    model_args = {**_sizing(architecture), **config.get("model_args", {}), "num_classes": 0}
    pool = config.get("global_pool", details.get("global_pool"))
    if pool is not None:
        model_args.setdefault("global_pool", pool)
    if any(key.endswith("ls1.gamma") for key in weights):
        model_args.setdefault("init_values", 1e-5)  # UNI's configuration has been published without its LayerScale
    backbone = timm.create_model(architecture, pretrained=False, **model_args)
    if pretrained:
        _fill(backbone, weights, classifier=details.get("classifier", "head"), folder=folder)
    record = BackboneRecord(
        name=name,
        architecture=architecture,
        model_args=model_args,
        pretrained=pretrained,
        revision=revision,
        licence=_read_licence(folder) or details.get("license"),
        sha256=fingerprint(backbone) if pretrained else None,
    )
    return backbone, record


def _read_weights(folder: Path) -> dict[str, Tensor]:
    for name in _WEIGHT_FILES:
        if (folder / name).is_file():
            try:
                return dict(load_state_dict(str(folder / name), weights_only=True))
            except Exception as error:
                raise InputError(f"{folder / name} cannot be read ({_first_line(error)}); fetch it again") from error
    raise InputError(
        f"{folder} holds none of {', '.join(_WEIGHT_FILES)}; put the weights there or set image.pretrained to false"
    )


def _fill(
    backbone: nn.Module, weights: dict[str, Tensor], *, classifier: str | tuple[str, ...] | list[str], folder: Path
) -> None:
    """Load weights strictly, except for the classifier that the backbone goes without."""
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    expected = backbone.state_dict()
    kept = {k: v for k, v in weights.items() if k in expected or not k.startswith(tuple(f"{head}." for head in heads))}
    wrong = sorted(expected.keys() ^ kept.keys()) or [k for k in expected if expected[k].shape != kept[k].shape]
    if wrong:
        raise InputError(
            f"{folder}: weights and architecture disagree, first at {wrong[0]!r}; "
            "expected the weights of the config.json beside them"
        )
    backbone.load_state_dict(kept)


def _sizing(architecture: str) -> dict[str, Any]:
    """Vision transformers must be told to accept other image sizes than they were trained on."""
    module = model_entrypoint(architecture).__module__.rpartition(".")[2]
    return {"dynamic_img_size": True} if module in ("vision_transformer", "eva") else {}


def _read_licence(folder: Path) -> str | None:
    """The `license:` line of a model card's front matter."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    front = re.match(r"---\n(.*?)\n---", card.read_text(errors="replace"), flags=re.DOTALL)
    licence = re.search(r"^license:\s*(\S+)", front[1], flags=re.MULTILINE) if front else None
    return licence[1] if licence else None


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub's warnings about each retry from burying the one line that follows."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)


def _reason(error: Exception) -> str:
    if isinstance(error, LocalEntryNotFoundError | ConnectionError):
        return "no connection to huggingface.co, and not in the local cache"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
