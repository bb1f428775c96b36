"""What an uplink says when it cannot connect, and that it goes on trying."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path

import pytest

from central.authority import Authority
from contract.clock import SystemClock, UnixMicros, VirtualClock
from mqtt_bridge import diagnosis
from mqtt_bridge.brokers.process import free_port
from mqtt_bridge.connection import Connection, Session
from mqtt_bridge.diagnosis import ConnectionProblem, ProblemKind
from mqtt_bridge.events import Ended
from mqtt_bridge.ports import BrokerAddress, TlsFiles
from tests.mqtt_bridge.doubles import (
    PATIENCE_S,
    MemoryOutbox,
    Site,
    enrolled,
    eventually,
    next_event,
    running,
    take,
)

DAY = dt.timedelta(days=1)


def clock_at(distance: dt.timedelta) -> VirtualClock:
    """A clock that stands that far from now."""
    now = SystemClock().wall()
    return VirtualClock(UnixMicros(now + int(distance.total_seconds() * 1e6)))


def authority_of(folder: Path, distance: dt.timedelta) -> Authority:
    """The authority in a folder, acting at another time."""
    return Authority.load(folder, clock=clock_at(distance))


def problem_of(address: BrokerAddress, connect_timeout_s: float = 3.0) -> ConnectionProblem:
    connection = Connection(
        Session(address=address, client_id="probe", connect_timeout_s=connect_timeout_s)
    )
    connection.start()
    ended = next_event(connection, Ended, PATIENCE_S)
    assert isinstance(ended, Ended)
    assert ended.problem is not None
    assert connection.close()
    return ended.problem


def test_an_own_certificate_that_has_expired_is_named(site: Site) -> None:
    old = authority_of(site.authority.certificate_path.parent, -60 * DAY)
    problem = problem_of(site.broker.address(enrolled(old, site.folder / "old", "van-1")))
    assert problem.kind is ProblemKind.OWN_CERTIFICATE_EXPIRED
    assert "device.pem expired at 20" in problem.detail


def test_an_own_certificate_of_the_future_points_at_the_clock(site: Site) -> None:
    future = authority_of(site.authority.certificate_path.parent, 2 * DAY)
    problem = problem_of(site.broker.address(enrolled(future, site.folder / "new", "van-1")))
    assert problem.kind is ProblemKind.OWN_CERTIFICATE_NOT_YET_VALID
    assert "clock says" in problem.detail


def test_a_certificate_of_a_foreign_authority_is_refused(site: Site) -> None:
    foreign = Authority.create(site.folder / "foreign")
    papers = enrolled(foreign, site.folder / "stranger", "van-1")
    trusting = TlsFiles(
        ca=site.authority.certificate_path,
        certificate=papers.certificate,
        private_key=papers.private_key,
    )
    problem = problem_of(site.broker.address(trusting))
    assert problem.kind is ProblemKind.CERTIFICATE_REFUSED
    assert "refuses this machine's certificate" in problem.detail


def test_a_broker_of_a_foreign_authority_is_not_trusted(site: Site) -> None:
    foreign = Authority.create(site.folder / "foreign")
    problem = problem_of(site.broker.address(enrolled(foreign, site.folder / "dev", "van-1")))
    assert problem.kind is ProblemKind.BROKER_UNTRUSTED
    assert "does not trust" in problem.detail


def test_a_device_that_was_never_granted_anything_gets_nowhere(
    site: Site, broker_kind: str
) -> None:
    papers = enrolled(site.authority, site.folder / "unknown", "van-9")
    if broker_kind == "nats":  # mosquitto lets it in and denies everything
        assert problem_of(site.broker.address(papers)).kind is ProblemKind.NOT_AUTHORISED
    outbox, intake = MemoryOutbox(), site.intake()
    outbox.put()
    uplink = site.uplink(outbox, "van-9", site.broker.address(papers))
    with running(intake):
        uplink.start()
        assert intake.batch(10, 1.0) == []
        assert outbox.seqs == [1]
        assert uplink.stop()


def test_a_certificate_for_another_address_is_not_trusted() -> None:
    error = ssl.SSLCertVerificationError("mismatch")
    error.verify_code, error.verify_message = 64, "IP address mismatch"
    address = BrokerAddress(host="192.0.2.1", port=8883)
    problem = diagnosis.of_error(error, address, SystemClock())
    assert problem.kind is ProblemKind.BROKER_UNTRUSTED
    assert "another address" in problem.detail


def test_nobody_listening_and_unknown_names_are_told_apart() -> None:
    port = free_port()
    refused = problem_of(BrokerAddress(host="127.0.0.1", port=port))
    assert (refused.kind, refused.detail) == (
        ProblemKind.REFUSED,
        f"nothing listens at 127.0.0.1:{port}",
    )
    assert str(refused) == refused.detail  # so it stands in health, for an operator
    address = BrokerAddress(host="broker.invalid", port=8883)
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert diagnosis.of_error(unknown, address, SystemClock()).kind is ProblemKind.UNKNOWN_HOST
    silent = diagnosis.of_error(TimeoutError("timed out"), address, SystemClock())
    assert silent.kind is ProblemKind.TIMEOUT


@pytest.mark.parametrize(
    ("code", "kind"),
    [(0x87, ProblemKind.NOT_AUTHORISED), (0x89, ProblemKind.BUSY), (0x84, ProblemKind.PROTOCOL)],
)
def test_a_refused_session_is_explained_by_its_reason_code(code: int, kind: ProblemKind) -> None:
    problem = diagnosis.of_connack("words", code, BrokerAddress(host="b", port=1))
    assert problem.kind is kind
    assert "b:1" in problem.detail


@pytest.mark.parametrize(
    ("code", "hint"), [(0x84, "mqtt_version"), (0x95, "256 KiB"), (0x9B, "QoS 1"), (0x80, "words")]
)
def test_a_refusal_that_can_be_mended_says_how(code: int, hint: str) -> None:
    problem = diagnosis.of_connack("words", code, BrokerAddress(host="b", port=1))
    assert problem.kind is ProblemKind.PROTOCOL
    assert hint in problem.detail


@pytest.mark.parametrize("name", ["ca", "certificate", "private_key"])
def test_a_missing_or_broken_tls_file_is_named(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    papers = enrolled(authority, tmp_path, "van-1")
    paths = {n: getattr(papers, n) for n in ("ca", "certificate", "private_key")}
    for damage in ("missing", "broken"):
        path = tmp_path / f"{damage}.pem"
        if damage == "broken":
            path.write_text("no PEM here")
        files = TlsFiles(**{**paths, name: path})
        problem = problem_of(BrokerAddress(host="127.0.0.1", port=1, tls=files))
        assert problem.kind is ProblemKind.TLS_FILES
        assert path.name in problem.detail


def test_an_outbox_that_fails_is_reported_and_sending_goes_on(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    outbox.failures.append(OSError(28, "No space left on device"))
    outbox.put()
    uplink = site.uplink(outbox)
    with running(intake):
        uplink.start()
        assert take(intake, 1)[0].payload == b"message 1"
        assert uplink.status().connects == 2
        assert eventually(lambda: uplink.problem is None)
        assert uplink.stop()
    assert not outbox.failures
    assert not uplink.is_running
