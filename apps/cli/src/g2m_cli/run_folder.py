"""A training run's folder: one process at a time, one set of settings, resumable."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from g2m_cli.errors import InputError
from g2m_cli.files import write_json
from g2m_cli.provenance import FILE, read_provenance


def is_complete(run: Path) -> bool:
    """Whether training in this folder has ended and exported its model."""
    return (run / "model").is_dir()


def has_begun(run: Path) -> bool:
    """Whether anything has been learned in this folder."""
    return is_complete(run) or any((run / "checkpoints").glob("*/[0-9]*")) or (run / "metrics.jsonl").exists()


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run folder for this process; the lock goes with the process, however it ends.

    Raises
    ------
    InputError
        If another process is at work in it.
    """
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(f"{run}: process {lock.read().strip()} is at work here; wait for it, or stop it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def claim(run: Path, record: Mapping[str, Any]) -> None:
    """Write a run's provenance, or check that the folder already holds this very run.

    What may differ on a resumed run is how it is watched (``settings.loop``), not what is learned.

    Raises
    ------
    InputError
        Names the settings and parents in which the folder's run differs.
    """
    existing = read_provenance(run)
    if existing is None and has_begun(run):
        raise InputError(
            f"{run}: something was trained here, but {FILE} is missing or damaged, so what it was is not known; put it "
            "back, or name another --out"
        )
    if existing is not None and not has_begun(run):
        # refused before its first step: nothing here is worth keeping
        shutil.rmtree(run / "cache", ignore_errors=True)
        existing = None
    if existing is not None and existing["id"] != record["id"]:
        raise InputError(
            f"{run} holds another run ({'; '.join(_differences(existing, record))}); "
            "name another --out, or give its settings to resume it"
        )
    before, now = (entry.get("precision") for entry in (existing or record, record))
    if before != now and not is_complete(run):
        raise InputError(
            f"{run} was begun with --precision {before}, not {now}; go on with that, or name another --out"
        )
    if existing is None:
        write_json(run / FILE, record)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = _flatten(old["settings"]) | old["parents"], _flatten(new["settings"]) | new["parents"]
    changed = [key for key in after.keys() | before.keys() if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key)} there, {after.get(key)} now" for key in sorted(changed)[:3]]


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        entries = value.items()
    elif isinstance(value, list):
        entries = [(str(index), item) for index, item in enumerate(value)]  # type: ignore[assignment]
    else:
        return {prefix.rstrip("."): value}
    return {key: leaf for name, item in entries for key, leaf in _flatten(item, f"{prefix}{name}.").items()}
