"""metrics.jsonl of a run: one JSON object a line, always written, consistent after a resume."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from g2m_cli.files import write_text

FILE = "metrics.jsonl"


class MetricsLog:
    """Appends rows; on a resume, rows later than the checkpoint are dropped, since they will come again.

    Parameters
    ----------
    run
        The run's folder.
    stage
        Name written into every row (``64px``, ``contrastive``).
    images_seen
        Where the run goes on.
    """

    def __init__(self, run: Path, stage: str, images_seen: int) -> None:
        self.path, self.stage = run / FILE, stage
        kept = [
            row for row in read_metrics(run) if row["stage"] != stage or row["images_seen"] <= images_seen
        ] if self.path.exists() else []  # fmt: skip
        run.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def write(self, images_seen: int, values: Mapping[str, Any]) -> None:
        """Append one row."""
        with self.path.open("a") as file:
            file.write(json.dumps({"stage": self.stage, "images_seen": images_seen, **values}) + "\n")


def read_metrics(run: Path) -> Iterator[dict[str, Any]]:
    """Read a run's rows; a last line cut short by a killed process is left out."""
    for line in (run / FILE).read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return
