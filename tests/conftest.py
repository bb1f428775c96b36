"""What every test may lean on: recorded field data and tools that may be missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from qianshao.bench_postgresql import PostgresServer, find_binaries
from tests.needs import missing

settings.register_profile("soak", max_examples=5000, deadline=None)
# A busy machine is slow now and then: how long one example took says nothing about the code.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.fixture(scope="session")
def field_data() -> Path:
    """Folder of the recorded field data."""
    folder = Path(os.environ.get("QIANSHAO_FIELD_DATA", "../shared/data")).resolve()
    if not (folder / "cellular").is_dir():
        missing(f"no recorded field data: QIANSHAO_FIELD_DATA, tried {folder}")
    return folder


@pytest.fixture(scope="session")
def reference(field_data: Path) -> Path:
    """Folder of the field's tables, beside the recordings."""
    folder = field_data.parent / "reference"
    if not folder.is_dir():
        missing(f"no field tables: tried {folder}")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Debian's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium is not installed (Debian package chromium)")
        raise AssertionError
    return path


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """Path of Debian's mosquitto broker."""
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if path is None:
        missing("mosquitto is not installed (Debian package mosquitto)")
        raise AssertionError
    return path


@pytest.fixture(scope="session")
def mosquitto_clients() -> tuple[str, str]:
    """Paths of mosquitto_pub and mosquitto_sub, tools that know nothing of this system."""
    tools = shutil.which("mosquitto_pub"), shutil.which("mosquitto_sub")
    if tools[0] is None or tools[1] is None:
        missing("mosquitto_pub is not installed (Debian package mosquitto-clients)")
        raise AssertionError
    return tools[0], tools[1]


@pytest.fixture(scope="session")
def softhsm() -> str:
    """Path of SoftHSM's PKCS #11 library."""
    places = (
        "/usr/lib/softhsm",
        "/usr/lib/*/softhsm",
        "/usr/lib64/softhsm",
        "/usr/local/lib/softhsm",
    )
    found = [str(p) for place in places for p in Path("/").glob(f"{place[1:]}/libsofthsm2.so")]
    if not found or shutil.which("softhsm2-util") is None:
        missing("SoftHSM is not installed (Debian package softhsm2)")
        raise AssertionError
    return found[0]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """Debian's PostgreSQL, started for these tests in a folder of its own."""
    if find_binaries() is None:
        missing("PostgreSQL is not installed (Debian package postgresql)")
        raise AssertionError
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def atheris() -> None:
    """The coverage-guided fuzzer, where it has a wheel for this machine."""
    if importlib.util.find_spec("atheris") is None:
        missing("atheris has no wheel for this machine")
