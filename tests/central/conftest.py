"""A central and an enrolled van for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.central.kit import Central, Station


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    made = Central(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def van(central: Central) -> Station:
    return central.enrol(Station())
