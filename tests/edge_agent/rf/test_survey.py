"""A sniffer from its port to the outbox: real ports, real captures, a real outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import Detection, SystemClock
from contract.words import AlertKind, PartState
from edge_agent.config import SensorConfig, SensorKind
from edge_agent.desk import Desk
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.outbox import Outbox
from edge_agent.rf.survey import Survey, port_name
from hardware.serial.transport import replay_url
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript
from hardware.simulators.nas import attack_capture, ordinary_capture
from tests.edge_agent.outboxes import DEVICE, Bench, opened


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Bench(tmp_path).open() as box:
        yield box


def survey_of(
    outbox: Outbox, url: str, kind: SensorKind = SensorKind.CAPTURE
) -> tuple[Survey, HealthBook]:
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")
    poll_s = 0.05 if kind is SensorKind.QUECTEL else None
    config = SensorConfig(name="nas0", kind=kind, url=url, poll_s=poll_s)
    survey = Survey(
        config,
        device=DEVICE,
        clock=clock,
        desk=Desk(outbox, book),
        book=book,
        evidence=EvidenceStore(evidence_folder(outbox)),
    )
    return survey, book


def evidence_folder(outbox: Outbox) -> Path:
    """Beside the outbox, as in an agent's state folder."""
    return outbox.path.parent / "evidence"


def play(outbox: Outbox, path: Path) -> HealthBook:
    survey, book = survey_of(outbox, replay_url(path))
    asyncio.run(survey.run())
    survey.report_health()
    return book


def detections(outbox: Outbox) -> list[Detection]:
    bodies = [opened(row).body for row in outbox.unreceipted(0, 100)]
    return [body for body in bodies if isinstance(body, Detection)]


def part(book: HealthBook, name: str = "sensor nas0") -> tuple[PartState, dict[str, object]]:
    found = next(p for p in book.snapshot().parts if p.name == name)
    return found.state, dict(found.counters)


def test_a_replayed_attack_becomes_signed_detections(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "attack.pcap"
    path.write_bytes(attack_capture())
    book = play(outbox, path)
    found = detections(outbox)
    assert {d.alert for d in found} == {AlertKind.FAKE_BTS_SUSPECTED}
    assert len({d.detection_id for d in found}) == 1
    assert found[0].fired_at is not None
    state, counters = part(book)
    assert state is PartState.OK
    assert counters["detections"] == len(found)


def test_the_bytes_behind_every_hash_are_kept(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "attack.pcap"
    path.write_bytes(attack_capture())
    play(outbox, path)
    store = EvidenceStore(evidence_folder(outbox))
    named = [evidence for found in detections(outbox) for evidence in found.evidence]
    assert named
    for evidence in named:
        assert len(store.read(evidence.sha256.hex())) == evidence.size_bytes


def test_evidence_that_cannot_be_written_is_told_and_the_alert_goes_out(
    outbox: Outbox, tmp_path: Path
) -> None:
    evidence_folder(outbox).write_bytes(b"a file where the folder should be")
    path = tmp_path / "attack.pcap"
    path.write_bytes(attack_capture())
    book = play(outbox, path)
    assert detections(outbox)
    assert part(book, "evidence")[0] is PartState.FAILED


def test_damaged_evidence_is_noticed(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path / "evidence")
    name = store.keep(b"frames")
    assert store.keep(b"frames") == name
    assert store.read(name) == b"frames"
    (tmp_path / "evidence" / name).write_bytes(b"other frames")
    with pytest.raises(ValueError, match="another hash"):
        store.read(name)


def test_playing_it_again_adds_nothing(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "attack.pcap"
    path.write_bytes(attack_capture())
    play(outbox, path)
    before = outbox.stats()
    play(outbox, path)
    after = outbox.stats()
    assert after.last_seq == before.last_seq
    assert after.known > before.known


def test_an_ordinary_network_says_nothing(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "ordinary.pcap"
    path.write_bytes(ordinary_capture())
    play(outbox, path)
    assert detections(outbox) == []


def test_damage_is_counted_and_the_rest_is_heard(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pcap"
    path.write_bytes(attack_capture()[:-7])
    book = play(outbox, path)
    assert detections(outbox)
    assert part(book)[1]["unreadable"] == 1


def test_a_port_that_is_not_there_fails_in_health_and_is_tried_again(
    outbox: Outbox, tmp_path: Path
) -> None:
    survey, book = survey_of(outbox, str(tmp_path / "nothing"), SensorKind.QUECTEL)

    async def watch() -> None:
        task = asyncio.create_task(survey.run())
        while part(book)[1].get("failed_opens", 0) == 0:
            await asyncio.sleep(0.02)
            survey.report_health()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(watch(), 10))
    assert part(book)[0] is PartState.FAILED
    told = next(p for p in book.snapshot().parts if p.name == "sensor nas0")
    assert told.detail.endswith("nothing: No such file or directory")


def test_a_fake_cell_on_a_polled_modem_is_confirmed(outbox: Outbox, tmp_path: Path) -> None:
    link = tmp_path / "modem0"
    survey, _ = survey_of(outbox, str(link), SensorKind.QUECTEL)

    async def watch() -> None:
        task = asyncio.create_task(survey.run())
        while not any(d.alert for d in detections(outbox)):
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with SimulatedModem(SceneScript("fake_cell", fake_after=2), link):
        asyncio.run(asyncio.wait_for(watch(), 20))
    found = [d for d in detections(outbox) if d.alert]
    assert found[-1].alert in {AlertKind.FAKE_BTS_SUSPECTED, AlertKind.FAKE_BTS_CONFIRMED}
    assert found[-1].reasons[0].rule == "GSM-PLMN-IMPOSSIBLE"
    assert found[-1].subject["plmn"] == "460-11"


def test_genuine_cells_on_a_polled_modem_raise_no_alert(outbox: Outbox, tmp_path: Path) -> None:
    link = tmp_path / "modem0"
    survey, book = survey_of(outbox, str(link), SensorKind.QUECTEL)

    async def watch() -> None:
        task = asyncio.create_task(survey.run())
        while int(str(part(book)[1].get("readings", 0))) < 30:
            await asyncio.sleep(0.05)
            survey.report_health()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with SimulatedModem(SceneScript("genuine"), link):
        asyncio.run(asyncio.wait_for(watch(), 20))
    assert not any(d.alert for d in detections(outbox))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/dev/ttyUSB2", "ttyUSB2"),
        ("replay:///a/b/exp%201.pcap?bytes_per_s=4", "exp 1.pcap"),
        ("socket://127.0.0.1:5000", "127.0.0.1:5000"),
    ],
)
def test_a_port_is_named_without_its_folder(url: str, name: str) -> None:
    assert port_name(url) == name
