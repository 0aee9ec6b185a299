"""Settings of a command: a preset, then a TOML file, then ``--set key=value``; unknown keys are refused."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from g2m_cli.errors import InputError, is_user_error

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How a run is watched and kept; nothing here changes what is learned."""

    log_images: int = 0
    """Images between two rows of metrics.jsonl; 0 writes one at every step, on a GPU, which a row waits for, at every
    50th."""
    checkpoint_minutes: float = 5.0
    """Minutes between checkpoints; more, where writing them would take more than a twentieth of the time."""
    checkpoint_images: int = 0
    """Images between checkpoints; 0 leaves it to the clock."""
    evaluate_images: int = 0
    """Images between evaluations on the validation pairs; 0 leaves it to ``evaluations``."""
    evaluations: int = 0
    """Evaluations on the validation pairs, spread evenly over a stage; 0 and 1 evaluate at its end only."""
    sample_images: int = 0
    """Images between sheets of generated samples; 0 draws one at the end only."""
    keep_checkpoints: int = 2
    """How many checkpoints are kept."""

    def over(self, total_images: int) -> LoopSettings:
        """Give the same loop with the images between evaluations known, for a stage of so many images."""
        if self.evaluate_images or self.evaluations < 2:
            return self
        return replace(self, evaluate_images=max(total_images // self.evaluations, 1))


_WATCHED = LoopSettings(evaluations=20)  # the paper judged convergence on a section of its own (A1)
LOOPS: Mapping[str, LoopSettings] = MappingProxyType({"paper": _WATCHED, "paper-code": _WATCHED})
"""By preset, the loop to start from; of others the plain one."""


@dataclass(frozen=True, kw_only=True)
class RunSettings(Generic[S]):
    """Everything that decides a training run."""

    model: S
    loop: LoopSettings = field(default_factory=LoopSettings)
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as they are written to settings.json: the model's keys, ``loop`` and ``seed``."""
        return {**asdict(self.model), "loop": asdict(self.loop), "seed": self.seed}  # type: ignore[call-overload]


def loop_of(preset: str) -> LoopSettings:
    """Give a preset's loop."""
    return LOOPS.get(preset, LoopSettings())


def learned(settings: RunSettings[Any], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Give the settings that decide a result: all but how the run is watched, and ``without`` what decides nothing."""
    return {key: value for key, value in settings.to_dict().items() if key not in ("loop", *without)}


def resolve(
    presets: Mapping[str, S],
    preset: str,
    *,
    first: Sequence[str] = (),
    config: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
    loop: LoopSettings | None = None,
) -> RunSettings[S]:
    """Resolve a command's settings.

    Parameters
    ----------
    presets
        The package's preset table.
    preset
        Name of the row to start from.
    first
        As ``overrides``, but applied before ``config``.
    config
        TOML file whose keys replace the preset's; a ``[loop]`` table sets the loop.
    overrides
        ``key=value`` with dotted keys, values as in TOML (bare words are strings), applied last.
    seed
        Seed of the run, unless the file or an override gives one.
    loop
        Loop settings to start from; by default those of the preset.

    Raises
    ------
    InputError
        For an unknown preset or key (with the nearest valid name), or a value of the wrong type.
    """
    if preset not in presets:
        raise InputError(f"no preset {preset!r}{_nearest(preset, list(presets))}; there are: {', '.join(presets)}")
    row = presets[preset]
    values: dict[str, Any] = {**asdict(row), "loop": asdict(loop or loop_of(preset)), "seed": seed}  # type: ignore[call-overload]
    _override(values, first)
    if config is not None:
        _merge(values, _read_toml(config), where=str(config), prefix="")
    _override(values, overrides)
    loop_values, seed_value = values.pop("loop"), values.pop("seed")
    return RunSettings(
        model=build(type(row), values), loop=build(LoopSettings, loop_values), seed=build(int, seed_value, "seed")
    )


def _override(values: dict[str, Any], overrides: Sequence[str]) -> None:
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise InputError(f"--set {override}: expected key=value, for example --set batch_size=64")
        _assign(values, key.strip(), _parse(text.strip()), where=f"--set {override}")


def build(cls: type[S], values: Any, where: str = "settings") -> S:
    """Build a settings dataclass from plain values, with every type checked.

    Raises
    ------
    InputError
        Names the first field whose value does not fit.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[S] = TypeAdapter(cls, config=None if is_dataclass(cls) else ConfigDict(strict=True))
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        own = first.get("ctx", {}).get("error")
        if isinstance(own, Exception) and is_user_error(own):  # a settings class's own check, which names its keys
            raise InputError(str(own)) from None
        key = ".".join(str(part) for part in first["loc"]) or where
        raise InputError(f"setting {key} = {first['input']!r}: {first['msg'].lower()}") from None


def describe(settings: RunSettings[Any]) -> list[str]:
    """List resolved settings as ``key = value`` lines, by the keys that ``--set`` takes."""
    return [*_leaves(settings.model), *_leaves(settings.loop, "loop."), f"seed = {settings.seed}"]


def _leaves(settings: Any, prefix: str = "") -> list[str]:
    lines = []
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if is_dataclass(value):
            lines += _leaves(value, f"{prefix}{entry.name}.")
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for index, item in enumerate(value):
                lines += _leaves(item, f"{prefix}{entry.name}.{index}.")
        else:
            lines.append(f"{prefix}{entry.name} = {value!r}")
    return lines


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error})") from None


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def _merge(values: dict[str, Any], update: Mapping[str, Any], *, where: str, prefix: str) -> None:
    for key, value in update.items():
        current = values.get(key)
        if isinstance(value, Mapping) and isinstance(current, dict):
            _merge(current, value, where=where, prefix=f"{prefix}{key}.")
        elif key not in values:
            raise InputError(f"{where}: unknown setting {prefix}{key}{_nearest(key, list(values))}")
        else:
            values[key] = value


def _assign(values: dict[str, Any], dotted: str, value: Any, *, where: str) -> None:
    *parents, last = dotted.split(".")
    at: Any = values
    for depth, part in enumerate(parents):
        at = _child(at, part, where, ".".join(parents[:depth]))
    if isinstance(at, (list, tuple)):
        raise InputError(f"{where}: name a field of {dotted}, or give the whole list in a --config file")
    if not isinstance(at, dict) or last not in at:
        options = list(at) if isinstance(at, dict) else []
        raise InputError(f"{where}: unknown setting {dotted}{_nearest(last, options, parents)}")
    at[last] = value


def _child(at: Any, part: str, where: str, path: str) -> Any:
    if isinstance(at, (list, tuple)):
        if part.isdigit() and int(part) < len(at):
            return at[int(part)]
        raise InputError(f"{where}: {path} has entries 0 to {len(at) - 1}, not {part!r}")
    if isinstance(at, dict) and part in at:
        return at[part]
    raise InputError(f"{where}: unknown setting {part}{_nearest(part, list(at) if isinstance(at, dict) else [])}")


def _nearest(name: str, options: Sequence[str], parents: Sequence[str] = ()) -> str:
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {'.'.join([*parents, close[0]])}?"
    return f"; valid here: {', '.join(options)}" if options else ""
