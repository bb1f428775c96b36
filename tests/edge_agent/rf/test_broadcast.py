"""Spectrum devices and GNSS receivers as sensors of an agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import Detection, SystemClock
from contract.words import AlertKind, PartState
from edge_agent.config import BroadcastConfig, SensorConfig, SensorKind, load_config
from edge_agent.desk import Desk
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.outbox import Outbox
from edge_agent.rf.survey import Survey
from hardware.gnss import FixTracker
from hardware.readings import FixQuality, Stamp
from hardware.serial.transport import replay_url
from hardware.simulators.fm_scene import licence_csv
from hardware.simulators.instruments import SimulatedInstrument, TinySaPeer, example_scene
from tests.edge_agent.outboxes import DEVICE, Bench, opened
from tests.edge_agent.test_config import VAN

NOON_US = 1_795_579_200_000_000


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Bench(tmp_path).open() as box:
        yield box


def run(
    outbox: Outbox,
    url: str,
    kind: SensorKind,
    *,
    seconds: float,
    broadcast: BroadcastConfig | None = None,
    fixes: FixTracker | None = None,
) -> HealthBook:
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")
    survey = Survey(
        SensorConfig(name="sa0", kind=kind, url=url, poll_s=None),
        device=DEVICE,
        clock=clock,
        desk=Desk(outbox, book),
        book=book,
        evidence=EvidenceStore(outbox.path.parent / "evidence"),
        broadcast=broadcast,
        fixes=fixes,
    )

    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await survey.run()
        survey.report_health()

    asyncio.run(main())
    return book


def detections(outbox: Outbox) -> list[Detection]:
    bodies = [opened(row).body for row in outbox.unreceipted(0, 100)]
    return [body for body in bodies if isinstance(body, Detection)]


def test_a_live_tinysa_becomes_signed_alerts_about_the_unlisted_station_alone(
    outbox: Outbox, tmp_path: Path
) -> None:
    scene = example_scene(0.0, NOON_US)
    (tmp_path / "list.csv").write_text(licence_csv(scene) + "bad,bad,bad,,,\n")
    config = BroadcastConfig(licences=tmp_path / "list.csv", continuous_s=1.0)
    with SimulatedInstrument(TinySaPeer(scene, lambda: NOON_US), tmp_path / "sa0") as device:
        book = run(outbox, str(device.link), SensorKind.TINYSA, seconds=4, broadcast=config)
    found = detections(outbox)
    assert {d.subject["mhz"] for d in found} == {92.3}
    assert {d.alert for d in found} == {None, AlertKind.BLACK_BROADCAST_SUSPECTED}
    store = EvidenceStore(outbox.path.parent / "evidence")
    for evidence in found[-1].evidence:
        assert len(store.read(evidence.sha256.hex())) == evidence.size_bytes
    parts = {part.name: part for part in book.snapshot().parts}
    assert parts["licence list"].state is PartState.DEGRADED
    assert "line 9" in parts["licence list"].detail


def test_a_list_that_cannot_be_read_is_told_and_nobody_is_suspected(
    outbox: Outbox, tmp_path: Path
) -> None:
    scene = example_scene(0.0, NOON_US)
    config = BroadcastConfig(licences=tmp_path / "none.csv", continuous_s=1.0)
    with SimulatedInstrument(TinySaPeer(scene, lambda: NOON_US), tmp_path / "sa0") as device:
        book = run(outbox, str(device.link), SensorKind.TINYSA, seconds=3, broadcast=config)
    assert {d.alert for d in detections(outbox)} == {None}
    parts = {part.name: part for part in book.snapshot().parts}
    assert parts["licence list"].state is PartState.FAILED


def test_a_receiver_places_the_readings_of_the_other_sensors(
    outbox: Outbox, tmp_path: Path
) -> None:
    log = tmp_path / "gnss.txt"
    log.write_text("$GPGLL,4916.45,N,12311.12,W,225444,A,*1D\r\n")
    fixes = FixTracker()
    run(outbox, replay_url(log), SensorKind.NMEA, seconds=5, fixes=fixes)
    now = SystemClock().wall()
    stamp = fixes.stamp(Stamp(at_us=now, time_basis="live", sensor="s", file="f", place="p"))
    assert stamp.position is not None
    assert stamp.position.lat == pytest.approx(49.2742, abs=1e-4)
    assert stamp.fix is not None
    assert stamp.fix.quality is FixQuality.GNSS


def test_the_configuration_names_list_and_sensors(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        VAN.replace('kind = "capture"', 'kind = "tinysa"')
        + '[broadcast]\nlicences = "stations.csv"\ncontinuous_s = 60\n'
    )
    config = load_config(file)
    assert config.sensors[1].kind is SensorKind.TINYSA
    assert config.broadcast == BroadcastConfig(
        licences=tmp_path / "stations.csv", utc_offset_min=480, continuous_s=60
    )
