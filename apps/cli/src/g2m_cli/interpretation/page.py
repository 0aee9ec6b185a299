"""Names of an interpretation's files."""

from __future__ import annotations

import re


def slug(name: str) -> str:
    """Make a name fit for a file: ``IM&P`` is ``IMandP``."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name.replace("&", "and")).strip("-") or "unnamed"
