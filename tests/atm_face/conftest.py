"""The real engine, loaded once."""

from __future__ import annotations

import pytest

from atm_face.engines.sface import SFaceEngine


@pytest.fixture(scope="session")
def engine() -> SFaceEngine:
    return SFaceEngine()
