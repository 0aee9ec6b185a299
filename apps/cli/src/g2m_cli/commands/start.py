"""What every `train` command does: resolve its settings, then show them or train."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from g2m_cli.console import say, show


def start(
    presets: Mapping[str, Any],
    preset: str,
    train: Callable[..., Path],
    *,
    config: Path | None,
    overrides: Sequence[str] | None,
    seed: int,
    dry_run: bool,
    precision: str,
    trackers: str,
    complete: Callable[[Any], Any] = lambda settings: settings,
) -> None:
    """Resolve a command's settings, then print them (``dry_run``) or train with them and say where the model is.

    Parameters
    ----------
    presets, preset, config, overrides, seed
        As `resolve` takes them.
    train
        Called with the settings and ``launch``; gives the model's folder.
    dry_run
        Print and stop.
    precision, trackers
        Of the launch.
    complete
        Fills in what only the data decide.
    """
    from g2m_cli.settings import describe, resolve

    settings: Any = complete(resolve(presets, preset, config=config, overrides=overrides or (), seed=seed))
    if dry_run:
        show("\n".join(describe(settings)))
        return
    from g2m_cli.training import Launch

    say(f"model: {train(settings, launch=Launch(precision=precision, trackers=trackers))}")
