"""Image backbones by timm name, hub id or local folder, and where their weights come from."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models import is_model, load_state_dict, model_entrypoint
from torch import Tensor, nn

from g2m_encoders.errors import InputError
from g2m_encoders.hub import (
    DOWNLOAD_ERRORS,
    HUB_PREFIX,
    WEIGHT_FILES,
    fetch_first,
    fetch_repository,
    first_line,
    quiet_hub,
    reason,
)
from g2m_encoders.preprocessing import attach_preprocessing, preprocessing_of, read_preprocessing

PHASE_1 = "image.backbone"  # the setting that names a backbone unless a caller says which


@dataclass(frozen=True, kw_only=True)
class BackboneRecord:
    """What a model stands on: enough to build it again, fetch its weights and tell whether they are the same."""

    name: str  # as it was asked for: timm name, hf-hub:owner/name[@revision], or folder
    architecture: str  # timm's name of the network
    model_args: dict[str, Any] = field(default_factory=dict)  # timm.create_model's arguments beside it
    preprocessing: dict[str, Any] = field(default_factory=dict)  # mean, std, input_size, … of the images it was fed, as
    # timm's pretrained_cfg names them; empty in models of before it was kept
    pretrained: bool = False
    revision: str | None = None  # the hub's commit
    licence: str | None = None  # of the weights, as their publisher states it
    sha256: str | None = None  # of the weights

    def is_referenced(self, *, frozen: bool) -> bool:
        """Whether a model names these weights in place of holding them: published, and left as they are."""
        return frozen and self.pretrained


def load_backbone(name_or_path: str | Path, *, pretrained: bool = True, setting: str = PHASE_1) -> nn.Module:
    """A timm network without classifier: pooled features (n, num_features) from normalised images.

    How its makers normalised them is in its `pretrained_cfg`.

    Parameters
    ----------
    name_or_path
        A timm name (`resnet18`), a hub id (`hf-hub:MahmoodLab/UNI`, `hf-hub:owner/name@revision`), or a folder with
        `config.json` and `model.safetensors` in timm's layout.
    pretrained
        False: that architecture with random weights, drawn from torch's global generator.
    setting
        Name of the setting that gave it, for the error.

    Raises
    ------
    InputError
        If it does not exist, is gated or unreachable, or if weights and architecture disagree.
    """
    return open_backbone(name_or_path, pretrained=pretrained, setting=setting)[0]


def open_backbone(
    name_or_path: str | Path, *, pretrained: bool = True, setting: str = PHASE_1
) -> tuple[nn.Module, BackboneRecord]:
    """As `load_backbone`, with the record of what was loaded."""
    name = str(name_or_path)
    if name.startswith(HUB_PREFIX):
        folder = fetch_repository(name, pretrained=pretrained, setting=setting)
        return _open_folder(folder, name, pretrained=pretrained, revision=folder.name)
    if Path(name).is_dir():
        return _open_folder(Path(name), name, pretrained=pretrained, revision=None)
    return _open_timm(name, pretrained=pretrained, setting=setting)


def fetch_backbone(name_or_path: str | Path, *, setting: str = PHASE_1, online: bool = True) -> None:
    """See to it that `load_backbone` will find its files, without building the network.

    Parameters
    ----------
    name_or_path, setting
        As of `load_backbone`.
    online
        False: only look, in the local cache.

    Raises
    ------
    InputError
        If they cannot be had, or a folder is not complete.
    """
    name = str(name_or_path)
    if name.startswith(HUB_PREFIX):
        folder = fetch_repository(name, pretrained=True, setting=setting, online=online)
    elif Path(name).is_dir():
        folder = Path(name)
    else:
        _fetch_timm(name, setting=setting, online=online)
        return
    _read_configuration(folder)
    _find_weights(folder)


def rebuild_backbone(record: BackboneRecord) -> nn.Module:
    """The recorded architecture with random weights; needs neither network nor the original files."""
    backbone: nn.Module = timm.create_model(record.architecture, pretrained=False, **record.model_args)
    attach_preprocessing(backbone, record.preprocessing)
    return backbone


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over a module's parameters and buffers, names and shapes included."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _open_timm(name: str, *, pretrained: bool, setting: str) -> tuple[nn.Module, BackboneRecord]:
    architecture = _architecture_of(name)
    model_args = {"num_classes": 0} | _sizing(architecture)
    try:
        with quiet_hub():
            backbone = timm.create_model(name, pretrained=pretrained, **model_args)
    except (*DOWNLOAD_ERRORS, RuntimeError) as error:
        raise _not_fetched(name, error, setting) from error
    published = timm.get_pretrained_cfg(name) if pretrained else None
    record = BackboneRecord(
        name=name,
        architecture=architecture,
        model_args=model_args,
        preprocessing=preprocessing_of(backbone),
        pretrained=pretrained,
        licence=published.license if published else None,
        sha256=fingerprint(backbone) if pretrained else None,
    )
    return backbone, record


def _fetch_timm(name: str, *, setting: str, online: bool) -> None:
    """Bring the weights of a timm name to where timm looks for them."""
    _architecture_of(name)
    try:
        published = timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # no such tag
        raise _not_fetched(name, error, setting) from error
    if published is None or not published.has_weights:
        raise InputError(f"timm publishes no weights of {name!r}; set {setting} to a name with weights, or to a folder")
    if not published.hf_hub_id:
        return  # timm's own loader knows the few addresses elsewhere
    files = (published.hf_hub_filename,) if published.hf_hub_filename else WEIGHT_FILES
    repository, _, revision = published.hf_hub_id.partition("@")
    try:
        with quiet_hub():
            fetch_first(repository, files, revision or None, online=online)
    except DOWNLOAD_ERRORS as error:
        raise _not_fetched(name, error, setting) from error


def _architecture_of(name: str) -> str:
    architecture = name.split(".")[0]
    if "/" in name or not is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"a hub id starts with {HUB_PREFIX!r}"
        raise InputError(f"backbone {name!r} is neither a timm model nor an existing folder; {hint}")
    return architecture


def _not_fetched(name: str, error: Exception, setting: str) -> InputError:
    untrained = ""
    if setting.endswith(PHASE_1):  # no one else can do with random weights
        untrained = f", or set {setting.removesuffix('backbone')}pretrained to false"
    return InputError(
        f"cannot fetch the weights of backbone {name!r}: {reason(error, f'timm/{name}')}, or set {setting} to a local "
        f"folder with config.json and model.safetensors{untrained}"
    )


def _open_folder(
    folder: Path, name: str, *, pretrained: bool, revision: str | None
) -> tuple[nn.Module, BackboneRecord]:
    config, details, preprocessing = _read_configuration(folder)
    architecture = config["architecture"]
    weights = _read_weights(folder) if pretrained else {}
    model_args = {**_sizing(architecture), **config.get("model_args", {}), "num_classes": 0}
    pool = config.get("global_pool", details.get("global_pool"))
    if pool is not None:
        model_args.setdefault("global_pool", pool)
    if any(key.endswith("ls1.gamma") for key in weights):
        model_args.setdefault("init_values", 1e-5)  # UNI's configuration has been published without its LayerScale
    backbone = timm.create_model(architecture, pretrained=False, **model_args)
    attach_preprocessing(backbone, preprocessing)
    if pretrained:
        _fill(backbone, weights, classifier=details.get("classifier", "head"), folder=folder)
    record = BackboneRecord(
        name=name,
        architecture=architecture,
        model_args=model_args,
        preprocessing=preprocessing_of(backbone),
        pretrained=pretrained,
        revision=revision,
        licence=_read_licence(folder) or details.get("license"),
        sha256=fingerprint(backbone) if pretrained else None,
    )
    return backbone, record


def _read_configuration(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A folder's config.json, what of it is timm's `pretrained_cfg`, and what of that is about images."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text())
        architecture = config["architecture"]
    except FileNotFoundError as error:
        raise InputError(f"{folder} has no config.json; expected a backbone folder in timm's layout") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not a timm model configuration: no readable 'architecture' in it") from error
    if not is_model(architecture):
        raise InputError(f"{file}: architecture {architecture!r} is unknown to timm {timm.__version__}; upgrade timm")
    details = config.get("pretrained_cfg", config)  # files of before timm 0.9 have no level between
    return config, details, read_preprocessing(details, file)


def _find_weights(folder: Path) -> Path:
    for name in WEIGHT_FILES:
        file = folder / name
        if not file.is_file():
            continue
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt"):  # compares the file's size with what its header tells
                    pass
        except (SafetensorError, OSError) as error:
            raise InputError(f"{file} cannot be read ({first_line(error)}); fetch it again") from error
        return file
    raise InputError(f"{folder} holds none of {', '.join(WEIGHT_FILES)}; put the weights there")


def _read_weights(folder: Path) -> dict[str, Tensor]:
    file = _find_weights(folder)
    try:
        return dict(load_state_dict(str(file), weights_only=True))
    except Exception as error:
        raise InputError(f"{file} cannot be read ({first_line(error)}); fetch it again") from error


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
