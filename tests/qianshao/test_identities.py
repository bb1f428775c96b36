"""Identities end to end: the command, the HTTPS port, the files of a device, and who is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from central.authority import Authority
from central.enrolment import EnrolmentDesk
from central.store import open_sqlite
from central.web.enrol import EnrolmentServer
from contract import SystemClock
from contract.clock import UnixMicros, VirtualClock
from contract.enrolment import EnrolmentError, Token
from contract.keys import KeySigner, public_pem
from contract.tenant_keys import box_key
from contract.visit_links import fingerprint
from contract.words import DeviceKind, PartState
from edge_agent.atm.key_ring import BOX_FILE
from edge_agent.config import AgentConfig, load_config
from edge_agent.enrolment import CentralUnreachableError, complete_rotation, enrol, rotate
from edge_agent.health import HealthBook
from edge_agent.identity import Identity, load_certificate
from edge_agent.renewal import Renewal, renewal_due_at
from mqtt_bridge.connection import Session
from mqtt_bridge.events import Taken
from mqtt_bridge.ports import TlsFiles
from qianshao.__main__ import main
from tests.mqtt_bridge.doubles import make_broker, next_event, opened
from tests.samples import ED25519

HOUR_US = 3600 * 1_000_000


@dataclass
class Office:
    """A central with its enrolment port open, and the folder of a device."""

    folder: Path
    desk: EnrolmentDesk
    server: EnrolmentServer
    clock: VirtualClock

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def invite(self, device: str = "van-1") -> Token:
        return self.desk.invite(device, DeviceKind.VAN, "a van")

    def config(self, name: str = "van-1", **changes: str) -> AgentConfig:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "agent.toml").write_text(
            f"""
device = "{changes.get("device", "van-1")}"
tenant = "{changes.get("tenant", "demo")}"
kind = "van"
state_dir = "state"
[broker]
host = "127.0.0.1"
ca = "ca.pem"
certificate = "tls.pem"
[central]
public_key = "central.pub.pem"
url = "{changes.get("url", self.url)}"
[[sensors]]
name = "modem0"
kind = "quectel"
url = "/dev/ttyUSB2"
""",
            encoding="utf-8",
        )
        return load_config(folder / "agent.toml")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    clock = VirtualClock(SystemClock().wall())
    folder = tmp_path / "central"
    authority = Authority.create(folder / "ca", clock=clock)
    store = open_sqlite(folder / "central.sqlite3")
    desk = EnrolmentDesk(
        store=store,
        authority=authority,
        tenant="demo",
        central_key_pem=public_pem(ED25519.public_key()),
        clock=clock,
    )
    server = EnrolmentServer(desk, authority.issue_server(folder / "enrol-tls"), "127.0.0.1", 0)
    server.start()
    yield Office(tmp_path, desk, server, clock)
    server.stop()
    store.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_device_enrols_with_a_token_and_its_keys_never_leave_it(office: Office) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    assert config.broker.tls is not None
    certificate = load_certificate(config.broker.tls.certificate)
    assert certificate.subject.rfc4514_string() == "CN=van-1"
    keys = sorted(config.state_dir.glob("*.key.pem"))
    assert [key.name for key in keys] == ["evidence.key.pem", "tls.key.pem"]
    assert {mode(key) for key in keys} == {0o600}
    assert office.desk.store.find_key(identity.signer.kid) is not None
    held = (office.folder / "central" / "central.sqlite3").read_bytes()
    for key in keys:
        assert key.read_bytes().splitlines()[1] not in held


def test_the_token_is_kept_only_as_a_hash(office: Office) -> None:
    token = office.invite()
    stored = b"".join(f.read_bytes() for f in (office.folder / "central").glob("*.sqlite3*"))
    assert token.hashed in stored
    assert token.secret not in stored
    assert token.text.encode() not in stored


def test_a_token_serves_once_and_the_same_device_may_ask_again_for_a_lost_answer(
    office: Office,
) -> None:
    token = office.invite()
    enrol(office.config(), token)
    enrol(office.config(), token)
    with pytest.raises(EnrolmentError, match="used before"):
        enrol(office.config("thief"), token)
    assert len(office.desk.store.devices()) == 1


def test_a_token_expires_and_a_newer_one_voids_it(office: Office) -> None:
    old, new = office.invite(), office.invite()
    with pytest.raises(EnrolmentError, match="not known"):
        enrol(office.config(), old)
    office.clock.advance(24 * HOUR_US)
    with pytest.raises(EnrolmentError, match="expired"):
        enrol(office.config(), new)
    assert not office.desk.store.devices()


def test_a_token_opens_one_name_only(office: Office) -> None:
    token = office.invite("van-2")
    with pytest.raises(EnrolmentError, match="the token is for van-2, this is van-1"):
        enrol(office.config(), token)
    forged = dataclasses.replace(token, device="van-1")
    with pytest.raises(EnrolmentError, match="another device's"):
        enrol(office.config(), forged)


def test_the_secret_is_not_sent_to_a_central_that_the_token_does_not_name(office: Office) -> None:
    token = dataclasses.replace(office.invite(), pin=b"x" * 32)
    with pytest.raises(EnrolmentError, match="not the central that made the token"):
        enrol(office.config(), token)
    assert office.desk.store.invitations()[0].used_at is None


def test_a_wrong_tenant_and_a_silent_central_are_said(office: Office) -> None:
    with pytest.raises(EnrolmentError, match="serves 'demo', this is 'other'"):
        enrol(office.config(tenant="other"), office.invite())
    with pytest.raises(CentralUnreachableError, match="does not answer"):
        enrol(office.config("far", url="https://127.0.0.1:1"), office.invite())


def test_an_evidence_key_belongs_to_one_device(office: Office) -> None:
    enrol(office.config(), office.invite())
    other = office.config("van-2", device="van-2")
    other.state_dir.mkdir()
    key = other.state_dir / "evidence.key.pem"
    key.write_bytes((office.folder / "van-1/state/evidence.key.pem").read_bytes())
    key.chmod(0o600)
    with pytest.raises(EnrolmentError, match="already belongs to van-1"):
        enrol(other, office.invite("van-2"))


def test_rotation_makes_a_new_key_and_leaves_the_former_certificate_valid(office: Office) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    assert config.broker.tls is not None
    former_key = identity.tls_key_file.read_bytes()
    former = load_certificate(config.broker.tls.certificate)
    office.clock.advance(20 * 24 * HOUR_US)
    rotate(config, identity)
    fresh = load_certificate(config.broker.tls.certificate)
    assert fresh.public_key() != former.public_key()
    assert fresh.not_valid_before_utc < former.not_valid_after_utc
    assert identity.tls_key_file.read_bytes() != former_key
    assert not list(config.state_dir.glob("tls.next*"))
    Identity.load_or_create(config.state_dir, "van-1").tls_files(
        ca=config.broker.tls.ca, certificate=config.broker.tls.certificate
    )
    assert not any(c.revoked_at for c in office.desk.store.certificates("van-1"))


def test_a_power_cut_between_certificate_and_key_is_mended_at_the_start(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    assert config.broker.tls is not None

    calls: list[Path] = []

    def cut(state_dir: Path, certificate: Path) -> bool:
        """Let the look at the beginning pass; power fails at the second, after the certificate."""
        calls.append(certificate)
        if len(calls) == 2:
            raise SystemExit
        return False

    with monkeypatch.context() as patched:
        patched.setattr("edge_agent.enrolment.complete_rotation", cut)
        with pytest.raises(SystemExit):
            rotate(config, identity)
    assert complete_rotation(config.state_dir, config.broker.tls.certificate)
    Identity.load_or_create(config.state_dir, "van-1").tls_files(
        ca=config.broker.tls.ca, certificate=config.broker.tls.certificate
    )


def test_a_revoked_device_gets_no_certificate_and_returns_only_with_a_token_and_new_keys(
    office: Office,
) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    assert office.desk.revoke("van-1")
    with pytest.raises(EnrolmentError, match="not enrolled for the device, or was revoked"):
        rotate(config, identity)
    with pytest.raises(EnrolmentError, match="was revoked: it needs a new one"):
        enrol(config, office.invite())
    again = enrol(office.config("mended"), office.invite())
    assert office.desk.store.find_key(again.signer.kid) is not None
    assert office.desk.store.find_key(identity.signer.kid) is None
    assert office.desk.store.known_key(identity.signer.kid) is not None


def test_a_stranger_s_key_renews_nothing(office: Office) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    stranger = dataclasses.replace(identity, signer=KeySigner(ED25519))
    with pytest.raises(EnrolmentError, match="not enrolled"):
        rotate(config, stranger)


async def _look(config: AgentConfig, identity: Identity, now: dt.datetime) -> HealthBook:
    book = HealthBook(clock=SystemClock(), version="0")
    micros = UnixMicros(int(now.timestamp() * 1e6))
    renewal = Renewal(config, identity, clock=SystemClock(), book=book, now=lambda: micros)
    await renewal.look()
    return book


def _said(book: HealthBook) -> tuple[PartState, str]:
    part = next(p for p in book.snapshot().parts if p.name == "identity")
    return part.state, part.detail


def test_the_agent_renews_by_itself_after_two_thirds_of_the_life(office: Office) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    assert config.broker.tls is not None
    former = load_certificate(config.broker.tls.certificate)
    due = renewal_due_at(former)
    life = former.not_valid_after_utc - former.not_valid_before_utc
    assert due - former.not_valid_before_utc == life * 2 / 3

    book = asyncio.run(_look(config, identity, due - dt.timedelta(seconds=1)))
    assert _said(book) == (PartState.OK, "")
    assert load_certificate(config.broker.tls.certificate) == former

    book = asyncio.run(_look(config, identity, due))
    assert _said(book) == (PartState.OK, "")
    assert load_certificate(config.broker.tls.certificate) != former


def test_a_renewal_that_fails_is_said_in_health_and_the_former_pair_goes_on(office: Office) -> None:
    config = office.config()
    identity = enrol(config, office.invite())
    assert config.broker.tls is not None
    former = load_certificate(config.broker.tls.certificate)
    office.server.stop()
    book = asyncio.run(_look(config, identity, renewal_due_at(former)))
    state, detail = _said(book)
    assert state is PartState.DEGRADED
    assert "cannot be renewed" in detail
    book = asyncio.run(_look(config, identity, former.not_valid_after_utc + dt.timedelta(days=1)))
    state, detail = _said(book)
    assert state is PartState.FAILED
    assert "expired at" in detail
    assert load_certificate(config.broker.tls.certificate) == former


@pytest.mark.parametrize("kind", ["nats", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def test_during_a_rotation_the_former_and_the_new_papers_both_open_the_broker(
    office: Office, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "mosquitto":
        request.getfixturevalue("mosquitto")
    config = office.config()
    identity = enrol(config, office.invite())
    assert config.broker.tls is not None
    former = TlsFiles(
        ca=config.broker.tls.ca,
        certificate=tmp_path / "former.pem",
        private_key=tmp_path / "former.key",
    )
    former.certificate.write_bytes(config.broker.tls.certificate.read_bytes())
    former.private_key.write_bytes(identity.tls_key_file.read_bytes())
    broker = make_broker(kind, tmp_path / "broker", office.desk.authority)
    broker.start()
    live = opened(Session(address=broker.address(former), client_id="live"))
    rotate(config, identity)
    topic = "v1/demo/up/van-1/evt"
    live.publish(topic, b"x")
    assert next_event(live, Taken) is not None, "the open session goes on"
    live.close()
    fresh = Identity.load_or_create(config.state_dir, "van-1").tls_files(
        ca=former.ca, certificate=config.broker.tls.certificate
    )
    for papers in (former, fresh):
        connection = opened(Session(address=broker.address(papers), client_id="again"))
        connection.publish(topic, b"x")
        assert next_event(connection, Taken) is not None
        connection.close()
    broker.stop()


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def central_toml(tmp_path: Path) -> Path:
    path = tmp_path / "central.toml"
    path.write_text('tenant = "demo"\nfolder = "office"\n', encoding="utf-8")
    return path


def test_the_command_makes_the_authority_once(
    central_toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ca", "init", "--config", str(central_toml), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    certificate = x509.load_pem_x509_certificate((Path(made["folder"]) / "ca.pem").read_bytes())
    assert certificate.fingerprint(hashes.SHA256()).hex() == made["sha256"]
    assert mode(Path(made["folder"]) / "ca.key") == 0o600
    assert main(["ca", "init", "--config", str(central_toml)]) == 1
    assert "already holds an authority" in capsys.readouterr().err


def test_the_command_invites_lists_and_revokes(
    central_toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(central_toml)]
    assert main(["device", "list", *config]) == 1
    assert "qianshao ca init" in capsys.readouterr().err
    main(["ca", "init", *config])
    capsys.readouterr()
    assert main(["device", "invite", "atm-1", "--kind", "atm", *config]) == 0
    said = capsys.readouterr()
    assert Token.parse(said.out).device == "atm-1"
    assert main(["device", "list", "--json", *config]) == 0
    rows = json.loads(capsys.readouterr().out)["devices"]
    assert [(row["device"], row["state"]) for row in rows] == [("atm-1", "invited")]
    assert main(["device", "revoke", "atm-1", *config]) == 1
    assert "no device 'atm-1'" in capsys.readouterr().err
    assert main(["device", "invite", "central", "--kind", "atm", *config]) == 1
    assert "no device" in capsys.readouterr().err


def test_the_command_enrols_rotates_and_revokes(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = office.config()
    token = tmp_path / "token"
    token.write_text(office.invite().text, encoding="utf-8")
    agent = ["--config", str(config.file), "--json"]
    assert main(["device", "enrol", "--token-file", str(token), *agent]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["device"] == "van-1"
    assert main(["device", "link-key", *agent]) == 1  # only an ATM has such a key
    assert "no key yet" in capsys.readouterr().err
    own = box_key(config.state_dir / BOX_FILE).public_key().public_bytes_raw()
    assert main(["device", "link-key", *agent]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["device"], shown["fingerprint"]) == ("van-1", fingerprint(own))
    assert main(["device", "rotate", *agent]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["certificate_until"]
    token.write_text("qs1.nonsense", encoding="utf-8")
    assert main(["device", "enrol", "--token-file", str(token), *agent]) == 1
    assert "no enrolment token" in capsys.readouterr().err
