"""Every kind of attached modem through the agent, from one radio scene."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from contract import Detection, SystemClock
from contract.words import AlertKind, PartState
from edge_agent.config import SensorConfig, SensorKind
from edge_agent.desk import Desk
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.outbox import Outbox
from edge_agent.rf import survey as survey_module
from edge_agent.rf.survey import Survey
from hardware.simulators.diag import SimulatedDiag, nas_messages
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.nas import attack_capture
from hardware.simulators.peers import PEERS
from hardware.simulators.scene import CENTRE, GENUINE, Place, RadioScene, fake_cell
from tests.edge_agent.outboxes import DEVICE, Bench, opened


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Bench(tmp_path).open() as box:
        yield box


def survey_of(
    outbox: Outbox, url: Path, kind: SensorKind, *, survey_every_s: float | None = None
) -> tuple[Survey, HealthBook]:
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")
    poll_s = None if kind is SensorKind.DIAG else 0.02
    config = SensorConfig(
        name="modem0", kind=kind, url=str(url), poll_s=poll_s, survey_every_s=survey_every_s
    )
    evidence = EvidenceStore(outbox.path.parent / "evidence")
    survey = Survey(
        config, device=DEVICE, clock=clock, desk=Desk(outbox, book), book=book, evidence=evidence
    )
    return survey, book


async def watched(survey: Survey, book: HealthBook, readings: int) -> dict[str, object]:
    """Run a survey until it has read so much; its counters in health."""
    task = asyncio.create_task(survey.run())
    until = monotonic() + 20
    counters: dict[str, object] = {}
    while int(str(counters.get("readings", 0))) < readings and monotonic() < until:
        await asyncio.sleep(0.02)
        survey.report_health()
        found = next(p for p in book.snapshot().parts if p.name == "sensor modem0")
        counters = dict(found.counters)
    assert found.state is PartState.OK
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return counters


def alerts(outbox: Outbox) -> set[AlertKind]:
    bodies = [opened(row).body for row in outbox.unreceipted(0, 100)]
    return {body.alert for body in bodies if isinstance(body, Detection) and body.alert}


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("is_fake", [False, True])
def test_a_blaster_alerts_where_the_modem_names_its_network(
    outbox: Outbox, tmp_path: Path, peer: str, is_fake: bool
) -> None:
    """Genuine cells never alert; the impossible 460-11 does wherever MCC and MNC are told."""
    emitters = (*GENUINE, fake_cell()) if is_fake else GENUINE
    scene = RadioScene(emitters, CENTRE, lambda: 300.0)
    survey, book = survey_of(outbox, tmp_path / "modem", SensorKind(peer.partition("_")[0]))
    with SimulatedModem(PEERS[peer](scene), tmp_path / "modem"):
        counters = asyncio.run(watched(survey, book, 12))
    assert counters["poll_timeouts"] == 0
    assert counters["unreadable"] == 0
    # an LTE modem does not hear GSM, and #MONI tells the operator in words only
    can_see = is_fake and peer not in {"quectel_lte", "simcom_sim7600", "telit"}
    assert bool(alerts(outbox)) is can_see


def test_a_survey_on_schedule_hears_what_no_neighbour_list_names(
    outbox: Outbox, tmp_path: Path
) -> None:
    """The blaster is too far to capture the modem, and its network is nobody's neighbour."""
    far = replace(fake_cell(), route=(Place(25.0640, 102.7120),), speed_kmh=0.0)
    shy = replace(far, cell=replace(far.cell, cro_db=0) if far.cell else None)
    scene = RadioScene((*GENUINE, shy), CENTRE, lambda: 300.0)

    async def live(survey_every_s: float | None) -> dict[str, object]:
        survey, book = survey_of(
            outbox, tmp_path / "modem", SensorKind.SIMCOM, survey_every_s=survey_every_s
        )
        return await watched(survey, book, 24)

    with SimulatedModem(PEERS["simcom_sim800"](scene), tmp_path / "modem", survey_factor=0.001):
        assert asyncio.run(live(None))["poll_surveys"] == 0
        assert not alerts(outbox)
        assert int(str(asyncio.run(live(0.1))["poll_surveys"])) >= 1
    assert alerts(outbox)


def test_a_modem_that_surveys_the_band_in_silence_is_not_called_silent(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A survey takes minutes and answers at its end."""
    monkeypatch.setattr(survey_module, "SILENT_AFTER_S", 0.2)
    survey, book = survey_of(outbox, tmp_path / "modem", SensorKind.SIMCOM, survey_every_s=0.1)

    async def live() -> tuple[PartState, str, object]:
        task = asyncio.create_task(survey.run())
        until = monotonic() + 20
        while monotonic() < until:
            await asyncio.sleep(0.02)
            survey.report_health()
            part = next(p for p in book.snapshot().parts if p.name == "sensor modem0")
            counters = dict(part.counters)
            if counters.get("poll_surveys") and float(str(counters["last_data_age_s"])) > 0.3:
                break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return part.state, part.detail, counters.get("poll_surveys")

    scene = RadioScene(GENUINE, CENTRE, lambda: 300.0)
    with SimulatedModem(PEERS["simcom_sim800"](scene), tmp_path / "modem"):
        assert asyncio.run(live()) == (PartState.OK, "", 1)


@pytest.mark.parametrize("is_attacked", [False, True])
def test_a_diag_port_tells_an_attack_on_the_test_terminal(
    outbox: Outbox, tmp_path: Path, is_attacked: bool
) -> None:
    scene = RadioScene(GENUINE, CENTRE, lambda: 0.0)
    nas = nas_messages(attack_capture()) if is_attacked else []
    survey, book = survey_of(outbox, tmp_path / "diag", SensorKind.DIAG)
    with SimulatedDiag(scene, tmp_path / "diag", nas=nas, period_s=0.05):
        counters = asyncio.run(watched(survey, book, 24))
    assert counters["diag_damaged"] == 0
    assert counters["diag_masks_refused"] == 0
    assert bool(alerts(outbox)) is is_attacked
