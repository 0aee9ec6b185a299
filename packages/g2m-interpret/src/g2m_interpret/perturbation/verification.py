"""Regenerating with many edits: a stopped job goes on where it was, and several processes share one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from g2m_interpret.errors import InputError
from g2m_interpret.perturbation.edits import Edit, edit_expression
from g2m_interpret.perturbation.effects import Perturbation, summarise_changes
from g2m_interpret.perturbation.familiarity import Familiarity
from g2m_interpret.perturbation.simulator import Simulator
from g2m_interpret.progress import Track, pass_through


def verify_edits(
    simulator: Simulator,
    expression: Float[np.ndarray, "spot gene"],
    edits: Sequence[Edit],
    noise_keys: Int[np.ndarray, "spot seed"],
    folder: Path,
    *,
    models: Mapping[str, Any],
    share: tuple[int, int] = (0, 1),
    resamples: int = 1000,
    familiarity: Familiarity | None = None,
    seed: int = 0,
    track: Track = pass_through,
) -> pd.DataFrame:
    """Regenerate with every edit and note each result at once, so that a later run goes on there.

    Each process appends to a file of its own, ``verified-<process>-of-<processes>.jsonl``: a line an edit, written in
    one piece. A line cut short by a crash is dropped and its edit repeated.

    Parameters
    ----------
    edits
        With different names.
    folder
        Made if absent; shared by all processes of a screen.
    models
        What tells this screen's models and spots apart (ids, hashes): with expression, noise and settings it makes the
        fingerprint that a folder's results must carry.
    share
        (process, processes): this one takes every processes-th edit.

    Returns
    -------
    As `summarise_changes`, of all edits that any process has verified so far, in the order of `edits`.

    Raises
    ------
    InputError
        Two edits have one name, or the folder holds another screen.
    """
    if len({edit.name for edit in edits}) < len(edits):
        raise InputError("two edits of this screen have the same name: label them")
    process, processes = share
    fingerprint = _fingerprint(simulator, expression, noise_keys, models, resamples, seed)
    folder.mkdir(parents=True, exist_ok=True)
    done = _read(folder, fingerprint)
    own = [edit for edit in edits[process::processes] if _key(edit) not in done]
    if own:
        before, statistics = simulator.simulate(expression, noise_keys)
        inside = float(familiarity.is_familiar(expression).mean()) if familiarity else float("nan")
    for edit in track(own, description="Verifying", total=len(own)):
        edited = edit_expression(expression, simulator.genes, edit)
        found = Perturbation(
            edits=(edit,),
            statistics=statistics,
            before=before,
            after=simulator.simulate(edited, noise_keys)[0][None],
            familiar_before=inside,
            familiar_after=np.array([familiarity.is_familiar(edited).mean() if familiarity else np.nan]),
        )
        rows = summarise_changes(found, resamples=resamples, seed=seed).to_dict("records")
        line = json.dumps({"screen": fingerprint, "edit": _key(edit), "rows": rows}) + "\n"
        _append(folder / f"verified-{process}-of-{processes}.jsonl", line)
    done = _read(folder, fingerprint)
    return pd.DataFrame([row for edit in edits for row in done.get(_key(edit), [])])


def pending_edits(
    simulator: Simulator,
    expression: Float[np.ndarray, "spot gene"],
    edits: Sequence[Edit],
    noise_keys: Int[np.ndarray, "spot seed"],
    folder: Path,
    *,
    models: Mapping[str, Any],
    resamples: int = 1000,
    seed: int = 0,
) -> list[Edit]:
    """Those edits that `verify_edits` of the same arguments has still to verify.

    Raises
    ------
    InputError
        The folder holds another screen.
    """
    done = _read(folder, _fingerprint(simulator, expression, noise_keys, models, resamples, seed))
    return [edit for edit in edits if _key(edit) not in done]


def _fingerprint(
    simulator: Simulator,
    expression: Float[np.ndarray, "spot gene"],
    noise_keys: Int[np.ndarray, "spot seed"],
    models: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> str:
    digest = hashlib.sha256(json.dumps([list(simulator.genes), dict(models), resamples, seed], sort_keys=True).encode())
    for array in (expression, noise_keys):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _key(edit: Edit) -> str:
    return hashlib.sha256(json.dumps(asdict(edit), sort_keys=True).encode()).hexdigest()[:16]


def _read(folder: Path, fingerprint: str) -> dict[str, list[dict[str, Any]]]:
    done: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("verified-*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # cut short by a crash
                continue
            if not isinstance(entry, dict) or not {"screen", "edit", "rows"} <= entry.keys():  # damaged
                continue
            if entry["screen"] != fingerprint:
                raise InputError(f"{path}: holds a screen of other models, spots or settings; choose another folder")
            done[entry["edit"]] = entry["rows"]
    return done


def _append(path: Path, line: str) -> None:
    """Add one line in one write, after a new line where a crash left half of one."""
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
