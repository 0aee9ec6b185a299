"""Pretrained parts by hub id or local folder; what is missing ends in one line."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from diffusers.utils import logging as diffusers_logging
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import logging as hub_logging

from g2m_diffusion.errors import InputError

TIMEOUT_S = 10.0
_SAMPLED = 1 << 20  # bytes of each end of a weight file that tell it from another


def from_hub(kind: Any, source: str, *, part: str, revision: str | None, setting: str) -> Any:
    """Load a diffusers model from a folder or, failing that, from the hub or its local cache.

    Parameters
    ----------
    kind
        Class with `from_pretrained`.
    source
        A folder or a hub id, of the model itself or of a pipeline with it inside.
    part
        Name of the model in a pipeline: `unet`, `vae`.
    revision
        Commit, tag or branch of a hub id; None: the newest.
    setting
        Name of the setting that gave the source, for the error.

    Raises
    ------
    InputError
        There is nothing there, or something else, or not all of its weights.
    """
    where, inside = source, ""
    here = Path(source).is_dir()
    if here:
        revision = None
        inside = "" if (Path(source) / "config.json").is_file() else part
    else:
        where, revision, inside = _find_on_hub(source, part, revision, setting)
    try:
        with _quiet():
            model, report = kind.from_pretrained(
                where,
                revision=revision,
                local_files_only=Path(where).is_dir(),
                output_loading_info=True,
                **({"subfolder": inside} if inside else {}),
            )
    except (OSError, ValueError, KeyError, RuntimeError, HFValidationError) as error:
        # several libraries' errors for "not there", "no connection", "weights of another shape"
        what = "expected a folder that diffusers wrote" if here else "cannot be loaded from the hub"
        raise InputError(f"{setting} {source!r}: {what}; {_advice(setting)} [{_first_line(error)}]") from error
    missing = sorted(report["missing_keys"])
    if missing:  # diffusers would draw them at random
        raise InputError(
            f"{setting} {source!r}: {len(missing)} weights of a {kind.__name__} are missing, first {missing[0]}; "
            "fetch or export it again"
        )
    return model


def pretrained_id(source: str, *, part: str, revision: str | None, setting: str) -> str:
    """Say which weights `from_hub` would load, without loading them.

    Returns
    -------
    ``name@commit`` of the hub's; of a folder, a hash of its configuration and of its weight files' names, sizes, and
    first and last mebibyte.

    Raises
    ------
    InputError
        There is nothing there.
    """
    folder = Path(source)
    if not folder.is_dir():
        where, commit, _ = _find_on_hub(source, part, revision, setting)
        if commit is None:  # from the cache: .../snapshots/<commit>/<inside>
            parts = Path(where).parts
            commit = parts[parts.index("snapshots") + 1]
        return f"{source}@{commit}"
    folder = folder if (folder / "config.json").is_file() else folder / part
    files = sorted([*folder.glob("config.json"), *folder.glob("*.safetensors"), *folder.glob("*.bin")])
    if not files:
        raise InputError(f"{setting} {source!r}: expected a folder that diffusers wrote; {_advice(setting)}")
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}".encode())
        with file.open("rb") as content:
            digest.update(content.read(_SAMPLED))
            content.seek(max(size - _SAMPLED, 0))
            digest.update(content.read())
    return digest.hexdigest()[:16]


def _find_on_hub(name: str, part: str, revision: str | None, setting: str) -> tuple[str, str | None, str]:
    """Folder or hub id, commit and subfolder; one request that is not tried again, then the local cache."""
    try:
        info = HfApi().model_info(name, revision=revision, timeout=TIMEOUT_S)
    except Exception as error:  # no connection, no access, no such name: each version has classes of its own for them
        with suppress(HFValidationError):
            for file in (f"{part}/config.json", "config.json"):
                cached = try_to_load_from_cache(name, file, revision=revision)
                if isinstance(cached, str):
                    return str(Path(cached).parent), None, ""
        raise InputError(
            f"{setting} {name!r}: no such folder, and not to be had from the hub; {_advice(setting)} "
            f"[{_first_line(error)}]"
        ) from error
    inside = part if any(file.rfilename == f"{part}/config.json" for file in info.siblings or []) else ""
    return name, info.sha, inside


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _advice(setting: str) -> str:
    if "autoencoder" in setting:
        return (
            "give a local folder, train one with `g2m diffusion train-vae`, "
            "or accept the licence on the hub and set HF_TOKEN"
        )
    return "give a local folder of the pipeline, or accept the licence on the hub and set HF_TOKEN"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings about each retry and each new layer from burying the one line that follows."""
    loggers = (hub_logging, diffusers_logging)
    before = [logger.get_verbosity() for logger in loggers]
    for logger in loggers:
        logger.set_verbosity_error()
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.set_verbosity(level)
