"""What the short name of a member unit looks like."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")


def check_unit(text: str) -> str:
    """Return a unit's short name; raises ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError("a unit has a short name: 2 to 40 of a-z, 0-9 and -, a letter first")
    return text
