"""Pretrained parts by hub id or local folder; what is missing ends in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffusers.utils import logging as diffusers_logging
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import logging as hub_logging

from g2m_diffusion.errors import InputError


def from_hub(kind: Any, source: str, *, revision: str | None, setting: str, **options: Any) -> Any:
    """Load a diffusers model from a folder or, failing that, from the hub or its local cache.

    Parameters
    ----------
    kind
        Class with `from_pretrained`.
    source, revision
        A folder, or a hub id and its commit.
    setting
        Name of the setting that gave the source, for the error.
    options
        Of `from_pretrained`.

    Raises
    ------
    InputError
        There is nothing there, or something else.
    """
    here = Path(source).is_dir()
    try:
        with _quiet():
            return kind.from_pretrained(source, revision=revision, local_files_only=here, **options)
    except (OSError, ValueError, KeyError, RuntimeError, HFValidationError) as error:
        # several libraries' errors for "not there", "gated", "no connection", "weights of another shape"
        lines = str(error).strip().splitlines()
        reason = lines[0][:160] if lines else type(error).__name__
        what = (
            "expected a folder that diffusers wrote"
            if here
            else "no such folder, and not to be had from the hub (no connection, no access, or another name)"
        )
        raise InputError(f"{setting} {source!r}: {what}; {_advice(setting)} [{reason}]") from error


def _advice(setting: str) -> str:
    if "autoencoder" in setting:
        return (
            "give a local folder, train one with `g2m diffusion train-vae`, "
            "or accept the licence on the hub and run 'hf auth login'"
        )
    return "give a local folder of the pipeline, or accept the licence on the hub and run 'hf auth login'"


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
