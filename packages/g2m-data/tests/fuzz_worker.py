"""Builds spoilt studies in a process of its own, so that a native crash is seen: a JSON line a case, in and out.

Run as ``python fuzz_worker.py SCRATCH``; a case is ``{"study": FOLDER, "damages": [[FILE, WAY, NUMBERS], …]}``.
"""

import json
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import fuzz_damage
import numpy as np

from g2m_data import InputError, build_dataset, open_dataset
from g2m_data.doctor.examine import examine
from g2m_data.doctor.overlay import can_be_drawn, draw_overlay

MEMORY = 4 << 30
"""Bytes of addresses that a study of a few hundred kilobytes may take."""


def run_case(case: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Spoil a copy of a study and build it; says how that ended."""
    folder = scratch / "case"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(case["study"], folder)
    (folder / "results").mkdir()
    ways = []
    for file, way, numbers in case["damages"]:
        try:
            ways.append(fuzz_damage.spoil(folder / file, way, numbers))
        except Exception:  # a second damage may not find its way in what the first left
            if not ways:
                raise
    began = time.monotonic()
    ending = _build(folder)
    if ending["outcome"] != "failed":
        ending |= _examine(folder)
    return {"ways": ways} | ending | {"seconds": time.monotonic() - began}


def _build(folder: Path) -> dict[str, Any]:
    out = folder / "results" / "dataset"
    try:
        build_dataset(folder / "study.toml", out)
    except InputError as error:
        message, left = str(error), [path.name for path in out.parent.iterdir()]
        wrong = (
            (f"left behind {left}" if left else "")
            or ("is not one line of printable characters" if not message.isprintable() else "")
            or ("does not begin with a file" if not message.startswith("/") else "")
            or ("is too long" if len(message) > 1500 else "")
        )
        return {"outcome": "failed" if wrong else "refused", "message": f"{message!r} {wrong}" if wrong else message}
    except BaseException:
        return {"outcome": "failed", "message": traceback.format_exc()}
    try:
        _use(out)
    except BaseException:
        return {"outcome": "failed", "message": f"built, but:\n{traceback.format_exc()}"}
    left = [path.name for path in out.parent.iterdir()]
    return {"outcome": "built" if left == ["dataset"] else "failed", "message": f"{left} beside it"}


def _examine(folder: Path) -> dict[str, Any]:
    """The doctor reports what is wrong, or refuses the manifest, and never falls over it."""
    try:
        for examination in examine(folder / "study.toml"):
            json.dumps(examination.report.to_json())
            if can_be_drawn(examination):
                draw_overlay(examination)
    except InputError:
        pass
    except BaseException:
        return {"outcome": "failed", "message": f"g2m doctor:\n{traceback.format_exc()}"}
    return {}


def _use(out: Path) -> None:
    """Read some pairs as training would, and see that they agree with what the dataset says of them."""
    dataset = open_dataset(out)
    some = np.unique(np.linspace(0, len(dataset) - 1, 5).astype(int))
    expression, counts, patches = dataset.expression(some), dataset.counts(some), dataset.patches(some)
    assert len(dataset) == sum(entry["spots"] for entry in dataset.manifest["samples"].values()) > 0
    assert np.isfinite(expression).all()
    assert (expression >= 0).all()
    assert expression.shape == counts.shape == (len(some), len(dataset.genes))
    assert (counts.sum(axis=1) == dataset.obs["total_counts"].to_numpy()[some]).all()
    assert (counts.data >= 0).all()
    assert patches.shape == (len(some), dataset.patch_px, dataset.patch_px, 3)
    assert np.isfinite(dataset.obs[["x", "y"]].to_numpy()).all()
    assert dataset.obs.index.is_unique
    assert (dataset.describe().samples["mpp"] > 0).all()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.filterwarnings("error", category=RuntimeWarning, module="g2m_")
    scratch = Path(sys.argv[1])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run_case(json.loads(line), scratch)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
