"""What a test does where something that it needs is not on the machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE_ALL = os.environ.get("QIANSHAO_REQUIRE_ALL") == "1"


def missing(what: str) -> NoReturn:
    """Skip by name; under QIANSHAO_REQUIRE_ALL=1 fail instead."""
    if REQUIRE_ALL:
        pytest.fail(f"{what} (QIANSHAO_REQUIRE_ALL=1)")
    pytest.skip(what)
