"""A central and an enrolled van for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from central.store.opening import open_store
from tests.central.kit import Central, Station


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    made = Central(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def van(central: Central) -> Station:
    return central.enrol(Station())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Central]:
    """The same central over each kind of database."""
    if request.param == "sqlite":
        made = Central(tmp_path)
    else:
        url = request.getfixturevalue("postgresql").new_database()
        made = Central(tmp_path, store=open_store(tmp_path / "unused", url))
    yield made
    made.store.close()
