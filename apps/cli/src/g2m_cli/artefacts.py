"""Makes each artefact of a study once, keeps the time it took, and never deletes what it replaces."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from g2m_cli.console import say
from g2m_cli.processes import by_main_process
from g2m_cli.study import Timed, folder_id, read_seconds


class Artefacts:
    """What a study has made already.

    Parameters
    ----------
    root
        The study's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._file = root / "seconds.json"
        self.seconds: dict[str, float] = read_seconds(self._file)

    def once(
        self, name: str, target: Path, wanted: str, found: Callable[[Path], str | None], make: Callable[[], object]
    ) -> None:
        """Make an artefact unless the one that is wanted is there."""
        if target.exists() and found(target) == wanted:
            say(f"{name}: unchanged, kept")
            return
        self.set_aside(target)
        with self.timed(name):
            make()

    def resumable(self, name: str, run: Path, record: Mapping[str, Any], train: Callable[[], object]) -> None:
        """Train, or go on training, unless the folder holds another run, which is then set aside.

        Several processes call this together; they find the folder as the main one leaves it.
        """
        by_main_process(lambda: None if folder_id(run) == record["id"] else self.set_aside(run))
        if folder_id(run) == record["id"] and (run / "model").is_dir():
            say(f"{name}: unchanged, kept")
            return
        with self.timed(name):
            train()

    def set_aside(self, target: Path) -> None:
        """Move an artefact that no longer fits to ``superseded/``."""
        if not target.exists():
            return
        folder = self.root / "superseded"
        folder.mkdir(exist_ok=True)
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{target.name}"
        names = (stamp, *(f"{stamp}-{number}" for number in range(2, 1000)))  # several within a second
        place = next(folder / name for name in names if not (folder / name).exists())
        target.rename(place)
        say(f"{target}: inputs or settings have changed; the old one is now {place}")

    def timed(self, name: str) -> Timed:
        """Time a block and keep its seconds, also for a later run that skips it."""
        return Timed(name, self.seconds, self._file)
