"""What the doctor found: checks, each with a verdict and one sentence."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "warning", "error"]
_SEVERITY: tuple[Verdict, ...] = ("ok", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at."""

    name: str
    """Short, the same for every section: ``scale``, ``lattice``, …"""
    verdict: Verdict
    """``error`` where the section cannot be used as it is, ``warning`` where a person should look."""
    message: str
    """One sentence: what was found and, unless it is fine, what to do."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What the sentence rests on; units in the names."""


@dataclass(frozen=True, kw_only=True)
class SampleReport:
    """The checks of one section."""

    id: str
    platform: str
    split: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its checks'."""
        return worst(check.verdict for check in self.checks)

    def check(self, name: str) -> Check:
        """The check of a name; a KeyError where it was not made."""
        return {check.name: check for check in self.checks}[name]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `doctor.json` holds them."""
        return {"verdict": self.verdict} | asdict(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; ``ok`` of none."""
    return max(verdicts, key=_SEVERITY.index, default="ok")
