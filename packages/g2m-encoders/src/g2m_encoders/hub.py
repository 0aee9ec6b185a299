"""Backbones' files on the Hugging Face hub: fetched into its local cache, and found there without a connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging

from g2m_encoders.errors import InputError

HUB_PREFIX = "hf-hub:"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # in order of preference; timm opens .bin with weights_only
DOWNLOAD_ERRORS = (OSError, EntryNotFoundError, HFValidationError)


def fetch_repository(name: str, *, pretrained: bool, setting: str, online: bool = True) -> Path:
    """Bring a repository's configuration, card and weights into the local cache; the folder of that commit.

    Parameters
    ----------
    name
        `hf-hub:owner/name` or `hf-hub:owner/name@revision`.
    pretrained
        False: without the weights.
    setting
        Name of the setting that gave it, for the error.
    online
        False: only look into the cache.

    Raises
    ------
    InputError
        If it is gated, unreachable or not there.
    """
    repository, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
    local = f"set {setting} to a local folder with its config.json and weights"
    try:
        with quiet_hub():
            config = Path(
                hf_hub_download(repository, "config.json", revision=revision or None, local_files_only=not online)
            )
            commit = config.parent.name
            with suppress(EntryNotFoundError):
                hf_hub_download(repository, "README.md", revision=commit, local_files_only=not online)
            if pretrained:
                fetch_first(repository, WEIGHT_FILES, commit, online=online)
    except GatedRepoError as error:
        raise InputError(
            f"backbone {name!r} is gated: request access at https://huggingface.co/{repository}, "
            f"then run 'hf auth login', or {local}"
        ) from error
    except DOWNLOAD_ERRORS as error:
        raise InputError(
            f"cannot fetch backbone {name!r} ({reason(error)}); check the id and the connection to huggingface.co "
            f"(gated: request access there, then 'hf auth login'), or {local}"
        ) from error
    return config.parent


def fetch_first(repository: str, files: Sequence[str], commit: str | None, *, online: bool = True) -> None:
    """Fetch the first of `files` that the repository (or, without a connection, the local cache) has."""
    for file in files:
        try:
            hf_hub_download(repository, file, revision=commit, local_files_only=not online)
        except EntryNotFoundError:
            if file == files[-1]:
                raise
        else:
            return


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep the hub's warnings about each retry from burying the one line that follows."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)


def reason(error: Exception) -> str:
    """Why a file cannot be had, in a few words."""
    if isinstance(error, LocalEntryNotFoundError | ConnectionError):
        return "no connection to huggingface.co, and not in the local cache"
    return first_line(error)


def first_line(error: Exception) -> str:
    """The first line of an error's message, cut to what fits in one line with others."""
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
