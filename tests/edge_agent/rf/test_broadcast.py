"""Spectrum devices and GNSS receivers as sensors of an agent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import Detection, SystemClock
from contract.words import AlertKind, PartState
from edge_agent.config import BroadcastConfig, ConfigError, SensorConfig, SensorKind, load_config
from edge_agent.desk import Desk
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.outbox import Outbox
from edge_agent.rf.survey import Survey
from hardware.gnss import FixTracker
from hardware.readings import FixQuality, Stamp
from hardware.serial.transport import replay_url
from hardware.simulators.fm_scene import licence_csv
from hardware.simulators.instruments import Mood, SimulatedInstrument, TinySaPeer, example_scene
from hardware.simulators.programme import syllables
from tests.edge_agent.outboxes import DEVICE, Bench, opened
from tests.edge_agent.test_config import VAN

NOON_US = 1_795_579_200_000_000
QUICK = Mood(sweep_s=0.0)


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
    mhz: float | None = None,
) -> HealthBook:
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")
    survey = Survey(
        SensorConfig(name="sa0", kind=kind, url=url, poll_s=None, mhz=mhz, rate_hz=16_000),
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
    with SimulatedInstrument(TinySaPeer(scene, lambda: NOON_US), tmp_path / "sa0", QUICK) as device:
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
    with SimulatedInstrument(TinySaPeer(scene, lambda: NOON_US), tmp_path / "sa0", QUICK) as device:
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
    book = run(outbox, replay_url(log), SensorKind.NMEA, seconds=5, fixes=fixes)
    gnss = next(part for part in book.snapshot().parts if part.name == "gnss")
    assert gnss.state is PartState.OK
    assert gnss.counters["lat_e7"] == pytest.approx(492_742_000, abs=1000)
    assert gnss.counters["fix_unix_s"] == pytest.approx(SystemClock().wall() / 1e6, abs=60)
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
    assert config.sensors[1].mhz is None
    assert config.broadcast == BroadcastConfig(
        licences=tmp_path / "stations.csv", utc_offset_min=480, continuous_s=60
    )


@contextlib.contextmanager
def loudspeaker(samples: bytes, *, block: int, every_s: float) -> Iterator[str]:
    """A receiver's audio at a TCP port, quicker than life."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                time.sleep(0.5)  # pyserial throws away what came before it was ready
                for at in range(0, len(samples), block):
                    peer.sendall(samples[at : at + block])
                    time.sleep(every_s)
                peer.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join(30)


@pytest.mark.parametrize(("mhz", "alert"), [(98.5, True), (91.8, False)])
def test_what_a_loudspeaker_says_is_an_alert_with_its_clip_unless_it_is_licensed(
    outbox: Outbox, tmp_path: Path, mhz: float, alert: bool
) -> None:
    (tmp_path / "list.csv").write_text("id,mhz\nA,91.8\n")
    config = BroadcastConfig(licences=tmp_path / "list.csv", continuous_s=1.0)
    samples = syllables(1, 80).tobytes()
    with loudspeaker(samples, block=320_000, every_s=0.3) as url:
        run(outbox, url, SensorKind.AUDIO, seconds=4.5, broadcast=config, mhz=mhz)
    found = detections(outbox)
    assert (AlertKind.BLACK_BROADCAST_SUSPECTED in {d.alert for d in found}) is alert
    if not alert:
        return
    last = found[-1]
    assert last.subject["mhz"] == mhz
    assert "level_db" not in last.reasons[0].values
    (clip,) = [e for e in last.evidence if e.name == "AUDIO_30S"]
    kept = EvidenceStore(outbox.path.parent / "evidence").read(clip.sha256.hex())
    with wave.open(io.BytesIO(kept)) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 30 * 16_000)
    assert kept[44:] == samples[: 30 * 32_000]


def test_an_audio_input_says_where_its_receiver_stands(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    text = VAN.replace('kind = "capture"', 'kind = "audio"\nmhz = 91.8\nrate_hz = 32000')
    file.write_text(text)
    sensor = load_config(file).sensors[1]
    assert (sensor.kind, sensor.mhz, sensor.rate_hz) == (SensorKind.AUDIO, 91.8, 32_000)
    file.write_text(VAN.replace('kind = "capture"', 'kind = "audio"'))
    with pytest.raises(ConfigError, match="mhz"):
        load_config(file)
    file.write_text(VAN.replace('kind = "capture"', 'kind = "tinysa"\nmhz = 91.8'))
    with pytest.raises(ConfigError, match="belongs to an audio input"):
        load_config(file)
