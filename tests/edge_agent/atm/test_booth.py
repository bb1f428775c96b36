"""The face factor as a configuration composes it: real store, bank's service, XFS4IoT camera."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from atm_face.device_key import file_key
from atm_face.engines.interface import Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import template_of
from atm_face.factor import CardVerdict, NoReference
from atm_face.images import decode_image
from atm_face.screens import Prompt
from atm_face.simulated import made_up_template
from atm_face.templates import Consent, TemplateStore
from central.authority import Authority
from contract.accounts import card_ref
from contract.clock import SystemClock
from contract.settings import ConfigError, TomlFile
from contract.words import Pad, PartState
from edge_agent.atm.booth import Booth
from edge_agent.atm_config import AtmConfig, read_atm
from edge_agent.health import HealthBook
from hardware.atm.xfs4iot import Dialect
from hardware.cameras import xfs
from hardware.simulators import portraits
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.xfs_atm import XfsAtm

PAN = "6216261000000000018"
KEY = b"k" * 32
CARD = card_ref(PAN, KEY)
STORE = '[atm.face.store]\nfile = "templates.sqlite3"\nkey_file = "templates.key"\n'


def config(folder: Path, text: str) -> AtmConfig:
    (folder / "card.key").write_bytes(KEY)
    (folder / "card.key").chmod(0o600)
    path = folder / "atm.toml"
    path.write_text(f'[atm]\ntenant_key_file = "card.key"\n{text}', encoding="utf-8")
    file = TomlFile.read(path)
    read = read_atm(file.root.table_or_none("atm"))
    file.finish()
    assert read is not None
    return read


def enrol(folder: Path, consent: Consent | None = None, *, owner: str | None = None) -> None:
    """Write the store that ``qianshao face enrol`` writes."""
    engine = SFaceEngine()
    template = template_of(engine, decode_image(portraits.portrait(), "enrolment"))
    assert isinstance(template, Template)
    if owner is not None:
        template = made_up_template(engine, owner)
    store = TemplateStore(folder / "templates.sqlite3", file_key(folder / "templates.key"))
    given = consent or Consent(purpose="withdrawal", given_on=date(2026, 11, 1))
    store.enrol(CARD.hmac, template, dataclasses.replace(given, withdrawn_on=None))
    if given.withdrawn_on is not None:
        store.withdraw(CARD.hmac, given.withdrawn_on)
    store.close()


@contextlib.contextmanager
def camera_atm(picture: Callable[[], bytes]) -> Iterator[XfsAtm]:
    cash = SimulatedDispenser(CashFaults(), lambda name: None)
    slot = SimulatedCardSlot(CashFaults(), lambda name: None)
    with XfsAtm(cash, slot, Dialect.CURRENT, token_key=bytes(32), camera=picture) as atm:
        yield atm


def xfs_face(atm: XfsAtm) -> str:
    """A machine whose camera is that service; nobody can come closer to it."""
    face = '[atm.face]\ncamera = "xfs4iot"\ncan_approach = false\n'
    return f'{face}publisher = "{atm.url()}"\n{STORE}'


def look(
    folder: Path, text: str, say: Callable[[Prompt], None] = lambda prompt: None
) -> tuple[CardVerdict, HealthBook]:
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")
    booth = Booth(config(folder, text), clock=clock, book=book)
    factor = booth.load()
    assert factor is not None
    return booth.check(factor, CARD, say=say), book


def turning() -> Callable[[], bytes]:
    """A customer who looks straight at first and then turns both ways."""
    pictures = itertools.chain(
        [portraits.with_brightness(0.8)],
        itertools.cycle([portraits.turned(45), portraits.turned(-45)]),
    )
    return lambda: next(pictures)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xfs.XfsCamera.__init__, "__kwdefaults__", {
        **(xfs.XfsCamera.__init__.__kwdefaults__ or {}), "challenge_s": 0.0,
    })  # fmt: skip
    monkeypatch.setattr("edge_agent.atm.booth.TELL_S", 0.0)


def test_owner_and_stranger_at_the_machines_own_camera(tmp_path: Path) -> None:
    with camera_atm(turning()) as atm:
        text = xfs_face(atm)
        enrol(tmp_path)
        asked: list[Prompt] = []
        verdict, book = look(tmp_path, text, asked.append)
        seen = verdict.examination
        assert (seen.is_match, seen.is_live, verdict.is_enrolled) == (True, True, True)
        assert seen.evidence is not None
        assert (seen.evidence.pad, seen.evidence.is_simulated) == (Pad.CHALLENGE, True)
        assert asked[0] is Prompt.LOOK_AT_CAMERA
        assert asked[-1] in {Prompt.TURN_LEFT, Prompt.TURN_RIGHT}
        assert book.state("camera") is PartState.OK
    with camera_atm(turning()) as atm:
        text = xfs_face(atm)
        enrol(tmp_path, owner="somebody else")
        assert look(tmp_path, text)[0].examination.is_match is False


@pytest.mark.parametrize(
    ("consent", "wanted"),
    [
        (None, NoReference.NOT_ENROLLED),
        (
            Consent(
                purpose="withdrawal", given_on=date(2026, 1, 1), withdrawn_on=date(2026, 11, 2)
            ),
            NoReference.NO_CONSENT,
        ),
    ],
)
def test_without_reference_or_consent_the_face_decides_nothing(
    tmp_path: Path, consent: Consent | None, wanted: NoReference
) -> None:
    if consent is not None:
        enrol(tmp_path, consent)
    with camera_atm(turning()) as atm:
        text = xfs_face(atm)
        verdict, _ = look(tmp_path, text)
    assert (verdict.no_reference, verdict.is_enrolled) == (wanted, False)
    assert verdict.examination.is_match is None


def test_a_camera_that_is_not_there_has_seen_nobody(tmp_path: Path) -> None:
    enrol(tmp_path)
    for camera in ('"/dev/video99"', '"xfs4iot"\npublisher = "ws://127.0.0.1:1/xfs4iot/v1.0"'):
        verdict, book = look(tmp_path, f"[atm.face]\ncamera = {camera}\n{STORE}")
        assert verdict.examination.evidence is None
        assert verdict.camera_trouble
        assert book.state("camera") is PartState.FAILED


def test_a_customer_is_told_what_would_help(tmp_path: Path) -> None:
    enrol(tmp_path)
    with camera_atm(portraits.nobody) as atm:
        text = xfs_face(atm)
        asked: list[Prompt] = []
        verdict, _ = look(tmp_path, text, asked.append)
    assert verdict.examination.is_face_covered
    assert Prompt.REMOVE_COVER in asked


def test_the_banks_service_that_does_not_answer_is_not_a_card_without_a_face(
    tmp_path: Path,
) -> None:
    files = Authority.create(tmp_path / "ca").issue_client(tmp_path / "tls", "atm-1")
    text = (
        '[atm.face]\ncamera = "/dev/video99"\n[atm.face.bank]\nurl = "https://127.0.0.1:1"\n'
        f'ca = "{files.ca}"\ncertificate = "{files.certificate}"\n'
        f'private_key = "{files.private_key}"\ndevice_key_file = "template.key"\n'
    )
    verdict, book = look(tmp_path, text)
    assert (verdict.no_reference, verdict.is_enrolled) == (NoReference.STORE, True)
    (part,) = [one for one in book.snapshot().parts if one.name == "templates"]
    assert "this device's key: " in part.detail


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[atm.face]\ncamera = "/dev/video0"', "a real face needs real references"),
        ('[atm.face]\npad_floor = "none"\n' + STORE, "none is below challenge"),
        ("[atm.face]\nneeded = 1\nof = 3\n" + STORE, "1 of 3 frames is no majority"),
        ('[atm.face]\nengine = "eigenfaces"\n' + STORE, "is none of"),
        (STORE + "[atm.face.visits]\nhours = 100\n", "hours"),
    ],
)
def test_a_configuration_that_asks_for_less_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        config(tmp_path, f'script = "visits.toml"\n{text}')
