"""The board's modules, compiled once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.on_micropython.board import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled application, simulated hardware and resident part."""
    return build(tmp_path_factory.mktemp("board"))
