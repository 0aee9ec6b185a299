"""Backbones' files on the Hugging Face hub: fetched into its local cache, and found there without a connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_download
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
    try:
        with quiet_hub():
            config = fetch_first(repository, ("config.json",), revision or None, online=online)
            commit = config.parent.name
            with suppress(EntryNotFoundError):
                fetch_first(repository, ("README.md",), commit, online=online)
            if pretrained:
                fetch_first(repository, WEIGHT_FILES, commit, online=online)
    except DOWNLOAD_ERRORS as error:
        raise InputError(
            f"cannot fetch backbone {name!r}: {reason(error, repository)}, or set {setting} to a local folder with its "
            "config.json and weights"
        ) from error
    return config.parent


def fetch_first(repository: str, files: Sequence[str], revision: str | None, *, online: bool = True) -> Path:
    """Fetch the first of `files` that the repository (or, without a connection, the local cache) has.

    Raises
    ------
    Exception
        One of `DOWNLOAD_ERRORS`; `reason` puts it into words.
    """
    for file in files[:-1]:
        with suppress(EntryNotFoundError):
            return Path(hf_hub_download(repository, file, revision=revision, local_files_only=not online))
    return Path(hf_hub_download(repository, files[-1], revision=revision, local_files_only=not online))


def is_reachable(timeout_s: float = 10.0) -> bool:
    """Whether the hub answers: one request, where a download would try for half a minute."""
    try:
        get_session().head(constants.ENDPOINT, timeout=timeout_s)
    except Exception:  # each version of the hub's library has classes of its own for it
        return False
    return True


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep the hub's warnings about each retry from burying the one line that follows."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)


def reason(error: Exception, repository: str) -> str:
    """Why a file of the hub cannot be had, and what to do about it, in a few words."""
    page = f"https://huggingface.co/{repository}"
    if isinstance(error, GatedRepoError):
        return f"gated; request access at {page}, then run 'hf auth login'"
    if isinstance(error, LocalEntryNotFoundError | ConnectionError):
        return "no connection to huggingface.co, and not in the local cache; connect"
    return f"{first_line(error)}; check the id, and whether {page} asks you to request access"


def first_line(error: Exception) -> str:
    """The first line of an error's message, cut to what fits in one line with others."""
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
