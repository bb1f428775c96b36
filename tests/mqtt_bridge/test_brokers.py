"""The broker's process: started once, adopted, watched, ended; and nobody else's is touched."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from central.authority import Authority
from contract.topics import Lane, up
from mqtt_bridge.brokers import (
    BrokerMissingError,
    Listener,
    MosquittoBroker,
    NatsBroker,
    PortTakenError,
)
from mqtt_bridge.brokers.interface import BrokerFailedError, DeviceGrant
from mqtt_bridge.connection import Session
from mqtt_bridge.events import Taken
from tests.mqtt_bridge.doubles import (
    TENANT,
    Site,
    eventually,
    make_broker,
    next_event,
    opened,
    running,
    take,
)

OPEN = Listener(tls=None)

HOLD_BROKER = """
import sys, time
from pathlib import Path
from tests.mqtt_bridge.doubles import make_broker
broker = make_broker(sys.argv[1], Path(sys.argv[2]), None)
broker.start()
print(broker.pid, broker.port, flush=True)
time.sleep(60)
"""


def test_a_broker_outlives_the_kill_of_its_owner_and_is_adopted(
    broker_kind: str, tmp_path: Path
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD_BROKER, broker_kind, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid, port = next(
        (int(w[0]), int(w[1])) for line in owner.stdout if (w := line.split()) and w[0].isdigit()
    )
    owner.kill()
    owner.wait()
    owner.stdout.close()
    heir = make_broker(broker_kind, tmp_path, None)
    assert heir.pid == pid
    heir.start()
    assert (heir.pid, heir.port) == (pid, port)
    assert not heir.ensure()
    heir.stop()
    assert not heir.is_running
    assert not Path(f"/proc/{pid}/cwd").exists()


def test_other_settings_restart_it_on_the_same_port(
    broker_kind: str, authority: Authority, tmp_path: Path
) -> None:
    first = make_broker(broker_kind, tmp_path, None)
    first.start()
    second = make_broker(broker_kind, tmp_path, authority)
    former_pid = first.pid
    second.start()
    assert second.pid != former_pid
    assert second.port == first.port
    assert first.pid == second.pid
    second.stop()


def test_one_that_died_is_started_again(site: Site) -> None:
    former_pid = site.broker.pid
    assert former_pid is not None
    assert not site.broker.ensure()
    os.kill(former_pid, signal.SIGKILL)
    assert eventually(lambda: not site.broker.is_running)
    assert site.broker.ensure()
    assert site.broker.is_running
    assert site.broker.pid != former_pid


def test_what_was_puback_ed_survives_kill_9_of_the_embedded_broker(
    authority: Authority, tmp_path: Path
) -> None:
    broker = make_broker("nats", tmp_path / "broker", authority)
    broker.start()
    site = Site(broker, authority, tmp_path)
    with running(site.intake()):
        pass
    device = opened(Session(address=site.address("van-1"), client_id="device"))
    for number in range(20):
        device.publish(up(TENANT, "van-1", Lane.EVIDENCE), b"%d" % number)
        assert next_event(device, Taken)
    pid = broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not broker.is_running)
    device.close()
    broker.ensure()
    intake = site.intake()
    with running(intake):
        assert [d.payload for d in take(intake, 20)] == [b"%d" % n for n in range(20)]
    broker.stop()


@pytest.mark.parametrize(
    ("says", "limit"),
    [
        ("nats-server: v2.15.0", {"default_max_consumers": -1}),
        ("nats-server: v3.0.1-RC.1", {"default_max_consumers": -1}),
        ("nats-server: v2.14.9", None),
        ("something else", None),
    ],
)
def test_the_embedded_broker_limits_no_fleet_where_its_version_would(
    says: str, limit: dict[str, int] | None, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    broker = NatsBroker(tmp_path / "broker", OPEN, binary=program)
    with pytest.raises(BrokerFailedError):
        broker.start()
    written = json.loads((tmp_path / "broker" / "nats.conf").read_text())
    assert written["jetstream"].get("limits") == limit


def test_the_embedded_broker_takes_the_subscriptions_of_a_large_fleet(tmp_path: Path) -> None:
    """1,200 with QoS 1; by itself a server of version 2.15 stops at a thousand."""
    broker = make_broker("nats", tmp_path, None)
    answers: queue.Queue[int] = queue.Queue()
    clients = []
    broker.start()
    try:
        for session in range(24):
            name = f"session-{session}"
            client = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
            client.on_subscribe = lambda *heard: answers.put(
                sum(not reason.is_failure for reason in heard[3])
            )
            clients.append(client)
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            client.subscribe([(f"{TENANT}/down/{name}-{n}/order", 1) for n in range(50)])
        assert [answers.get(timeout=30) for _ in clients] == [50] * len(clients)
    finally:
        for client in clients:
            client.disconnect()
            client.loop_stop()
        broker.stop()


def test_a_taken_port_is_said_clearly(broker_kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        broker = make_broker(broker_kind, tmp_path, None, port)
        with pytest.raises(PortTakenError, match=f"127.0.0.1:{port} is taken"):
            broker.start()
    assert not broker.is_running


def test_a_missing_program_is_said_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerMissingError, match="no such program"):
        NatsBroker(tmp_path, OPEN, binary=tmp_path / "nowhere")
    with pytest.raises(BrokerMissingError, match="no such program"):
        MosquittoBroker(tmp_path, OPEN, binary=tmp_path / "nowhere")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerMissingError, match=r"qianshao\[central\]"):
        NatsBroker(tmp_path, OPEN)


def test_a_program_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho 'no licence for today'\nexit 3\n")
    program.chmod(0o755)
    broker = NatsBroker(tmp_path / "broker", OPEN, binary=program)
    with pytest.raises(BrokerFailedError, match="no licence for today"):
        broker.start()
    assert not broker.is_running


def test_a_process_that_is_not_the_broker_is_never_touched(
    broker_kind: str, tmp_path: Path
) -> None:
    bystander = subprocess.Popen(["sleep", "30"])
    broker = make_broker(broker_kind, tmp_path, None)
    (tmp_path / "broker.pid").write_text(f"{bystander.pid}\n")
    assert not broker.is_running
    broker.stop()
    broker.start()
    assert broker.pid != bystander.pid
    broker.stop()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_everything_listens_on_the_loopback_only(site: Site) -> None:
    pid = site.broker.pid
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            name = str(link.readlink())
            if name.startswith("socket:["):
                inodes.add(name.removeprefix("socket:[").rstrip("]"))
    listening = [
        words[1]
        for name in ("tcp", "tcp6")
        for words in map(str.split, Path(f"/proc/net/{name}").read_text().splitlines())
        if words[3] == "0A" and words[9] in inodes
    ]
    assert listening
    assert {address.partition(":")[0] for address in listening} == {"0100007F"}


def test_the_native_port_of_the_embedded_broker_lets_nobody_in(
    authority: Authority, tmp_path: Path
) -> None:
    broker = make_broker("nats", tmp_path, authority)
    broker.start()
    log = (tmp_path / "nats.log").read_text()
    port = int(log.partition("client connections on 127.0.0.1:")[2].split()[0])
    with socket.create_connection(("127.0.0.1", port), 2.0) as guest:
        guest.recv(4096)
        guest.sendall(b'CONNECT {"verbose":false,"user":"CN=central","pass":""}\r\nPING\r\n')
        answer = b""
        while data := _received(guest):
            answer += data
    assert b"PONG" not in answer
    broker.stop()


def _received(guest: socket.socket) -> bytes:
    try:
        return guest.recv(4096)
    except OSError:
        return b""


@pytest.mark.parametrize(("tenant", "device"), [("demo", "*"), ("de.mo", "van-1"), ("demo", "a/b")])
def test_a_grant_cannot_widen_itself_by_its_name(tenant: str, device: str) -> None:
    with pytest.raises(ValueError, match="1 to 40"):
        DeviceGrant(tenant, device)
