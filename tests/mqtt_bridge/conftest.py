"""Real brokers for the transport's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from central.authority import Authority
from tests.mqtt_bridge.doubles import Site, make_broker


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(params=["nats", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def broker_kind(request: pytest.FixtureRequest) -> str:
    """Brokers as the central runs them; ``every_broker`` adds those of the files in deploy/."""
    kind = str(request.param)
    if kind.startswith("mosquitto"):
        request.getfixturevalue("mosquitto")
    return kind


@pytest.fixture
def site(broker_kind: str, authority: Authority, tmp_path: Path) -> Iterator[Site]:
    broker = make_broker(broker_kind, tmp_path / "broker", authority)
    broker.start()
    yield Site(broker, authority, tmp_path)
    broker.stop()
    assert not broker.is_running
