"""What a study was made with: later commands of it start from that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from g2m_cli.console import say
from g2m_cli.errors import InputError
from g2m_cli.files import write_json
from g2m_cli.settings import RunSettings, build, resolve

FILE = "settings.json"
DEFAULT_PRESET = "base"
S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class KeptSettings:
    """Options of the newest `g2m run` or `g2m demo` of a study."""

    preset: str = DEFAULT_PRESET
    seed: int = 0
    generators: tuple[str, ...] | None = None
    spots: int | None = None
    overrides: tuple[str, ...] = ()
    """``STAGE.key=value``."""

    def of_stage(self, stage: str) -> tuple[str, ...]:
        """Give the overrides of one stage, without its name."""
        return tuple(text.removeprefix(f"{stage}.") for text in self.overrides if text.startswith(f"{stage}."))


def keep_settings(root: Path, settings: KeptSettings) -> None:
    """Write them down in a study's folder."""
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / FILE, asdict(settings))


def kept_settings(root: Path) -> KeptSettings | None:
    """Read what a study was made with; None where `g2m run` has not been (or an older one kept nothing).

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        return build(KeptSettings, json.loads((root / FILE).read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise InputError(f"{root / FILE}: damaged ({error}); `g2m run` writes it again") from None


def resolve_in_study(
    root: Path,
    stage: str,
    presets: Mapping[str, S],
    *,
    preset: str | None = None,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
) -> RunSettings[S]:
    """Resolve the settings of a question to a study: as it was made with, unless told otherwise; then say so.

    Parameters
    ----------
    root
        The study's folder.
    stage
        What `g2m run --set` calls these settings: ``eval``, ``interpret``.
    presets
        The package's preset table.
    preset
        Row of it, exactly; None stands for that of the study with the study's own overrides.
    config, overrides
        As `resolve` takes them; they come last.
    seed
        None stands for the study's.

    Raises
    ------
    InputError
        As `resolve` does.
    """
    made_with = kept_settings(root)
    kept = made_with or KeptSettings()
    told = [
        f"--{name} {asked} (the study's: {own})"
        for name, asked, own in (("preset", preset, kept.preset), ("seed", seed, kept.seed))
        if asked is not None and asked != own
    ]
    if told and made_with is not None:
        say(f"other settings than {root} was made with: {', '.join(told)}")
    return resolve(
        presets,
        kept.preset if preset is None else preset,
        first=kept.of_stage(stage) if preset is None else (),
        config=config,
        overrides=overrides,
        seed=kept.seed if seed is None else seed,
    )


def as_kept(root: Path, asked: KeptSettings, *, preset: str | None, seed: int | None) -> KeptSettings:
    """Complete what `g2m run` was asked by what the study was made with, where no preset was named.

    Parameters
    ----------
    root
        The study's folder, which need not be there yet.
    asked
        Generators, spots and overrides as given.
    preset, seed
        As given; None where not.
    """
    kept = kept_settings(root)
    if preset is not None or kept is None:
        return replace(asked, preset=preset or DEFAULT_PRESET, seed=seed or 0)
    return KeptSettings(
        preset=kept.preset,
        seed=kept.seed if seed is None else seed,
        generators=kept.generators if asked.generators is None else asked.generators,
        spots=kept.spots if asked.spots is None else asked.spots,
        overrides=tuple({text.partition("=")[0]: text for text in (*kept.overrides, *asked.overrides)}.values()),
    )
