"""The doctor: well where all is well, and each thing that is broken is named with its remedy."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from central.authority import Authority
from central.config import CentralSettings, load_settings
from central.store import open_sqlite
from contract import ClockQuality, SystemClock
from contract.clock import UnixMicros, VirtualClock
from contract.files import replace_durably
from contract.keys import public_pem
from contract.words import DeviceKind
from edge_agent.config import AgentConfig, load_config
from edge_agent.identity import Identity
from mqtt_bridge.brokers import Broker, DeviceGrant, Listener, NatsBroker
from qianshao.__main__ import main
from qianshao.doctor.agent import agent_checks
from qianshao.doctor.central import central_checks
from qianshao.doctor.findings import Finding, Verdict, examine
from tests.samples import ED25519

DAY_US = 24 * 3600 * 1_000_000


class Steady(VirtualClock):
    def quality(self) -> ClockQuality:
        return ClockQuality(is_synced=True, estimated_error_ms=2)


def now(days: float = 0) -> Steady:
    return Steady(UnixMicros(SystemClock().wall() + int(days * DAY_US)))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    authority = Authority.create(tmp_path / "ca")
    listener = Listener(
        tls=authority.issue_server(tmp_path / "server"), grants=[DeviceGrant("demo", "van-1")]
    )
    running = NatsBroker(tmp_path / "broker", listener)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def config(tmp_path: Path, broker: Broker) -> AgentConfig:
    """An agent that is enrolled and could start."""
    state = tmp_path / "state"
    identity = Identity.load_or_create(state, "van-1")
    authority = Authority.load(tmp_path / "ca")
    pem = authority.issue_from_csr(identity.csr().encode(), "van-1")
    replace_durably(tmp_path / "tls.pem", pem, mode=0o644)
    (tmp_path / "central.pub.pem").write_text(public_pem(ED25519.public_key()))
    (tmp_path / "modem").touch()
    (tmp_path / "agent.toml").write_text(
        f"""
device = "van-1"
tenant = "demo"
kind = "van"
state_dir = "state"
[broker]
host = "127.0.0.1"
port = {broker.port}
ca = "ca/ca.pem"
certificate = "tls.pem"
[central]
public_key = "central.pub.pem"
[[sensors]]
name = "modem0"
kind = "quectel"
url = "{tmp_path / "modem"}"
""",
        encoding="utf-8",
    )
    return load_config(tmp_path / "agent.toml")


def found(config: AgentConfig, clock: VirtualClock | None = None) -> dict[str, Finding]:
    return {f.what: f for f in examine(agent_checks(config, clock or now()))}


def test_a_sound_agent_fails_nowhere(config: AgentConfig) -> None:
    findings = found(config)
    assert [f for f in findings.values() if f.verdict is Verdict.FAILED] == []
    assert findings["broker"].verdict is Verdict.OK
    assert "29 days" in findings["certificate"].words
    assert findings["renewal"].verdict is Verdict.WARNING  # no url


def test_it_makes_no_keys_where_there_are_none(config: AgentConfig) -> None:
    empty = dataclasses.replace(config, state_dir=config.state_dir.parent / "empty")
    findings = found(empty)
    assert "not enrolled" in findings["keys"].words
    assert findings["keys"].remedy == "qianshao device enrol"
    assert not empty.state_dir.exists()


@pytest.mark.parametrize(
    ("days", "verdict", "words"),
    [
        (10, Verdict.OK, "19 days"),
        (21, Verdict.WARNING, "should have been renewed"),
        (31, Verdict.FAILED, "expired on"),
        (-1, Verdict.FAILED, "this machine's clock says"),
    ],
)
def test_the_dates_of_the_certificate(
    config: AgentConfig, days: int, verdict: Verdict, words: str
) -> None:
    finding = found(config, now(days))["certificate"]
    assert finding.verdict is verdict
    assert words in finding.words
    assert finding.verdict is Verdict.OK or finding.remedy


def test_a_key_that_others_may_read(config: AgentConfig) -> None:
    (config.state_dir / "evidence.key.pem").chmod(0o644)
    assert "chmod 600" in found(config)["keys"].remedy


def test_a_key_file_that_holds_another_key(config: AgentConfig) -> None:
    shutil.copy(config.state_dir / "evidence.key.pem", config.state_dir / "tls.key.pem")
    finding = found(config)["keys"]
    assert (finding.verdict, "tls.key.pem" in finding.words) == (Verdict.FAILED, True)
    assert "key back" in finding.remedy, "there is no token to ask for"


def test_a_recording_that_is_not_there_is_not_plugged_in(
    config: AgentConfig, tmp_path: Path
) -> None:
    text = (tmp_path / "agent.toml").read_text("utf-8")
    text += '[[sensors]]\nname = "nas0"\nkind = "capture"\nurl = "replay:///nowhere/a.pcap"\n'
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
    (tmp_path / "modem").unlink()
    findings = found(load_config(tmp_path / "agent.toml"))
    assert findings["sensor nas0"].words == "/nowhere/a.pcap is not there"
    assert findings["sensor nas0"].remedy == "is the path right?"
    assert findings["sensor modem0"].remedy == "is it plugged in?"


def test_a_certificate_of_another_key(config: AgentConfig, tmp_path: Path) -> None:
    other = Identity.load_or_create(tmp_path / "other", "van-1")
    authority = Authority.load(tmp_path / "ca")
    (tmp_path / "tls.pem").write_bytes(authority.issue_from_csr(other.csr().encode(), "van-1"))
    assert "does not belong to the key" in found(config)["keys"].words


def test_a_broker_that_is_away_and_one_that_is_not_ours(
    config: AgentConfig, broker: Broker, tmp_path: Path
) -> None:
    Authority.create(tmp_path / "other-ca")
    (tmp_path / "ca/ca.pem").write_bytes((tmp_path / "other-ca/ca.pem").read_bytes())
    assert "authority that this machine does not trust" in found(config)["broker"].words
    broker.stop()
    finding = found(config)["broker"]
    assert finding.verdict is Verdict.FAILED
    assert "start the central" in finding.remedy


def test_a_broker_that_refuses_our_certificate_is_said(config: AgentConfig, tmp_path: Path) -> None:
    stranger = Authority.create(tmp_path / "stranger")
    identity = Identity.load_or_create(config.state_dir, "van-1")
    pem = stranger.issue_from_csr(identity.csr().encode(), "van-1")
    (tmp_path / "tls.pem").write_bytes(pem)
    finding = found(config)["broker"]
    assert finding.verdict is Verdict.FAILED, finding


def test_a_damaged_store_and_a_missing_sensor(config: AgentConfig, tmp_path: Path) -> None:
    store = config.state_dir / "outbox.sqlite3"
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript("CREATE TABLE a (x); INSERT INTO a VALUES (zeroblob(20000));")
    assert found(config)["outbox"].verdict is Verdict.OK
    raw = bytearray(store.read_bytes())
    raw[5000:9000] = b"\xff" * 4000
    store.write_bytes(raw)
    (tmp_path / "modem").unlink()
    findings = found(config)
    assert findings["outbox"].verdict is Verdict.FAILED
    assert findings["sensor modem0"].words == f"{tmp_path / 'modem'} is not there"


def test_a_check_that_fails_by_itself_hides_no_other(config: AgentConfig) -> None:
    def broken() -> Iterator[Finding]:
        raise RuntimeError("a defect")

    findings = list(examine([("one", broken), *agent_checks(config, now())]))
    assert findings[0].words == "RuntimeError: a defect"
    assert len(findings) > 5


# -- the central --------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> CentralSettings:
    file = tmp_path / "central.toml"
    file.write_text(
        'tenant = "demo"\nfolder = "office"\n[http]\nport = 1\n[broker]\nport = 2\n',
        encoding="utf-8",
    )
    assert main(["ca", "init", "--config", str(file)]) == 0
    return load_settings(file)


def told(settings: CentralSettings, clock: VirtualClock | None = None) -> dict[str, Finding]:
    return {f.what: f for f in examine(central_checks(settings, clock or now()))}


def test_a_sound_central_that_does_not_run(settings: CentralSettings) -> None:
    findings = told(settings)
    assert [f for f in findings.values() if f.verdict is Verdict.FAILED] == []
    assert "not running" in findings["ports"].words


def test_a_central_without_an_authority(tmp_path: Path) -> None:
    (tmp_path / "office").mkdir(mode=0o700)
    findings = told(CentralSettings(tenant="demo", folder=tmp_path / "office"))
    assert findings["authority"].remedy == "qianshao ca init"


def test_a_port_that_another_program_holds(settings: CentralSettings, broker: Broker) -> None:
    findings = told(dataclasses.replace(settings, broker_port=broker.port))
    assert findings["ports"].verdict is Verdict.FAILED
    assert "page does not answer" in findings["ports"].words


def test_devices_whose_certificates_end_soon_are_named(settings: CentralSettings) -> None:
    from central.enrolment import EnrolmentDesk
    from contract.enrolment import Request
    from contract.keys import KeySigner

    store = open_sqlite(settings.store_path)
    desk = EnrolmentDesk(
        store=store,
        authority=Authority.load(settings.folder / "ca"),
        tenant="demo",
        central_key_pem="",
        clock=SystemClock(),
        certificate_life=dt.timedelta(days=4),
    )
    identity = Identity.load_or_create(settings.folder / "van", "van-1")
    signer = KeySigner(ED25519)
    token = desk.invite("van-1", DeviceKind.VAN, "van")
    desk.answer(Request.signed("van-1", identity.csr(), signer, signer.public, token).to_json())
    store.close()
    assert "van-1" in told(settings)["devices"].words


# -- the command --------------------------------------------------------------------------------


def test_the_exit_status_and_the_json(
    config: AgentConfig, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["doctor", "--config", str(config.file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["schema"] == "qianshao-doctor/1"
    assert {"what", "verdict", "words", "remedy"} == set(said["findings"][0])
    (tmp_path / "modem").unlink()
    assert main(["doctor", "--config", str(config.file)]) == 1
    assert "FAIL  sensor modem0" in capsys.readouterr().out
    config.file.write_text("device = 1\n", encoding="utf-8")
    assert main(["doctor", "--config", str(config.file)]) == 2
    assert main(["doctor", "--config", str(tmp_path / "nowhere.toml")]) == 2
