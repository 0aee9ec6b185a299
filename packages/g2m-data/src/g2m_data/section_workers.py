"""Sections of a dataset built side by side, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from g2m_data.errors import InputError
from g2m_data.manifest import Manifest, SampleEntry, read_manifest
from g2m_data.panel import read_gene_file
from g2m_data.progress import Track, silent
from g2m_data.section_build import build_section

COMMAND = (sys.executable, "-P", "-m", "g2m_data.section_workers")
"""A plain command instead of multiprocessing: it never imports the caller's script a second time. Nor does it import
what lies in the working directory, as a user's `random.py`."""

ORPHANED = 75
"""How a worker ends whose parent did; not as Python itself ends where something fails."""


def build_sections(
    study: Manifest, genes: list[str], folder: Path, *, workers: int = 1, track: Track = silent
) -> dict[str, dict[str, Any]]:
    """Build every section of a study in `folder/samples`; `folder/genes.txt` lists the panel.

    Parameters
    ----------
    study
        The manifest.
    genes
        The panel.
    folder
        The dataset, in the making.
    workers
        Processes; 1 stays in this one.
    track
        Shows each section's progress, or, with several workers, how many sections are done.

    Returns
    -------
    What `dataset.json` says about each, in the manifest's order.

    Raises
    ------
    InputError
        For whatever is wrong with a section's files, or if a worker was killed; the other workers are stopped.
    """
    if workers < 1:
        raise InputError(f"cannot build with {workers} workers: at least 1 is needed")
    samples, where = study.samples, folder / "samples"
    if min(workers, len(samples)) == 1:
        return {sample.id: _build_here(study, sample, genes, where, track) for sample in samples}
    entries: dict[str, dict[str, Any]] = {}
    with _Workers(workers) as pool:
        jobs = {pool.start(study.path, sample, folder): sample.id for sample in samples}
        for job in track(as_completed(jobs), description="Building sections", total=len(jobs)):
            entries[jobs[job]] = job.result()
    return {sample.id: entries[sample.id] for sample in samples}


def _build_here(study: Manifest, sample: SampleEntry, genes: list[str], where: Path, track: Track) -> dict[str, Any]:
    try:
        return build_section(study, sample, genes, where / sample.id, track=track)
    except MemoryError:
        raise InputError(f"sample {sample.id!r}: memory did not suffice to build it; nothing was built") from None


class _Workers:
    """Processes that end when the block does, and when this process does, however it may end."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = Lock()
        self._stopped = False

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
        self._pool.shutdown(cancel_futures=True)

    def start(self, manifest: Path, sample: SampleEntry, folder: Path) -> Future[dict[str, Any]]:
        return self._pool.submit(self._run, manifest, sample.id, folder)

    def _run(self, manifest: Path, sample: str, folder: Path) -> dict[str, Any]:
        command = [*COMMAND, str(manifest), sample, str(folder)]
        with tempfile.TemporaryFile("w+") as complaints, self._begin(command, complaints) as process:
            assert process.stdout is not None
            answer = process.stdout.read()
            code = process.wait()
            with self._lock:
                self._running.discard(process)
            complaints.seek(0)
            return _read_answer(sample, code, answer, complaints.read())

    def _begin(self, command: list[str], complaints: Any) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise RuntimeError("stopped")
            # its standard input says nothing, but ends with this process
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            self._running.add(process)
            return process


def _read_answer(sample: str, code: int, answer: str, complaints: str) -> dict[str, Any]:
    if code < 0:
        raise InputError(
            f"sample {sample!r}: the process that built it was killed (signal {-code}), perhaps for want of memory; "
            "nothing was built; try again with fewer workers"
        )
    if code:
        raise RuntimeError(f"sample {sample!r}: the process that built it failed:\n{complaints}")
    content: dict[str, Any] = json.loads(answer)
    if "error" in content:
        raise InputError(content["error"])
    entry: dict[str, Any] = content["entry"]
    return entry


def _end_with_parent() -> None:
    while os.read(0, 1):  # the buffered stream would be locked when this process ends
        pass
    os._exit(ORPHANED)


def main(manifest: str, sample: str, folder: str) -> None:
    """Build one section, as a worker, and print what came of it as JSON."""
    Thread(target=_end_with_parent, daemon=True).start()
    out = Path(folder)
    try:
        study = read_manifest(Path(manifest))
        chosen = next(entry for entry in study.samples if entry.id == sample)
        genes = read_gene_file(out / "genes.txt")
        content: dict[str, Any] = {"entry": build_section(study, chosen, genes, out / "samples" / sample)}
    except InputError as error:
        content = {"error": str(error)}
    except MemoryError:
        content = {
            "error": f"sample {sample!r}: memory did not suffice to build it; nothing was built; "
            "try again with fewer workers"
        }
    except OSError as error:  # no space, no permission
        content = {"error": f"{error.filename or out}: {error.strerror or error}; nothing was built"}
    sys.stdout.write(json.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
