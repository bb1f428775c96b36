"""Foreign tools with a device's certificate can do what docs/security.md says, and nothing else."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from contract.access import DEVICE_ACCESS, Action
from mqtt_bridge.brokers import DeviceGrant
from mqtt_bridge.connection import Session
from mqtt_bridge.events import Arrived, Granted, Taken
from mqtt_bridge.ports import TlsFiles
from tests.mqtt_bridge.doubles import (
    TENANT,
    Site,
    eventually,
    every_broker,
    next_event,
    opened,
)

DEVICE, OTHER = "van-1", "atm-1"


def papers_of(site: Site, papers: TlsFiles) -> list[str]:
    ca, certificate, key = papers.ca, papers.certificate, papers.private_key
    where = ["-h", "127.0.0.1", "-p", str(site.broker.port), "-q", "1"]
    return [*where, "--cafile", str(ca), "--cert", str(certificate), "--key", str(key)]


def permitted(action: Action, device: str) -> list[str]:
    """A real topic of each permission in the table."""
    filters = [a.filter(TENANT, device) for a in DEVICE_ACCESS if a.action is action]
    return [f.replace("#", "evt" if action is Action.PUBLISH else "rcpt") for f in filters]


FORBIDDEN_TO_PUBLISH = [
    *permitted(Action.PUBLISH, OTHER),
    *permitted(Action.SUBSCRIBE, DEVICE),
    *permitted(Action.SUBSCRIBE, OTHER),
    f"v1/other/up/{DEVICE}/evt",
    f"v1/{TENANT}/up/{DEVICE}x/evt",
    "v2/anything",
]


@every_broker
def test_it_publishes_where_the_table_says_and_nowhere_else(
    site: Site, mosquitto_clients: tuple[str, str]
) -> None:
    tool, _ = mosquitto_clients
    watcher = opened(
        Session(address=site.broker.address(site.central), client_id="watcher", is_clean=True)
    )
    watcher.subscribe(["v1/#"])
    assert next_event(watcher, Granted) is not None
    papers = papers_of(site, site.papers(DEVICE))
    allowed = permitted(Action.PUBLISH, DEVICE)
    for topic in [*FORBIDDEN_TO_PUBLISH, *allowed]:
        subprocess.run([tool, *papers, "-t", topic, "-m", topic], timeout=60, check=False)
    heard: list[str] = []
    while len(heard) < len(allowed) and (event := next_event(watcher, Arrived)) is not None:
        assert isinstance(event, Arrived)
        heard.append(event.topic)
    assert next_event(watcher, Arrived, 0.3) is None
    watcher.close()
    assert sorted(heard) == sorted(allowed)


@every_broker
def test_it_hears_what_the_table_says_and_nothing_else(
    site: Site, mosquitto_clients: tuple[str, str], tmp_path: Path
) -> None:
    _, tool = mosquitto_clients
    wanted = permitted(Action.SUBSCRIBE, DEVICE)
    filters = [
        *wanted,
        "#",
        "v1/#",
        f"v1/{TENANT}/down/{OTHER}/#",
        f"v1/{TENANT}/down/+/rcpt",
        f"v1/{TENANT}/up/+/+",
        f"v1/{TENANT}/state/+",
    ]
    told = tmp_path / "heard"
    words = [word for topic in filters for word in ("-t", topic)]
    with told.open("wb") as output:
        sub = subprocess.Popen(
            [tool, *papers_of(site, site.papers(DEVICE)), "-F", "%t", "-W", "20", *words],
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
    central = opened(Session(address=site.broker.address(site.central), client_id="speaker"))

    def hears() -> bool:
        central.publish(wanted[0], b"for you")
        time.sleep(0.05)
        return wanted[0] in told.read_text()

    assert eventually(hears)
    for topic in (*permitted(Action.SUBSCRIBE, OTHER), *permitted(Action.PUBLISH, OTHER)):
        central.publish(topic, b"not for you")
    assert eventually(lambda: hears() and len(told.read_text().split()) > 3)
    sub.kill()
    sub.wait()
    central.close()
    assert set(told.read_text().split()) == set(wanted)


def dies_with_a_will(site: Site, topic: str) -> None:
    """A client of DEVICE whose line is cut, without the goodbye that would take the will back."""
    papers = site.papers(DEVICE)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "dying")
    client.tls_set(str(papers.ca), str(papers.certificate), str(papers.private_key))
    client.will_set(topic, b"will", qos=1, retain=True)
    client.connect("127.0.0.1", site.broker.port)
    eventually(lambda: client.loop(0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS or client.is_connected())
    if (line := client.socket()) is not None:
        line.close()


@every_broker
def test_a_last_will_and_a_retained_word_reach_no_foreign_topic(
    site: Site, mosquitto_clients: tuple[str, str]
) -> None:
    """A broker speaks a will in the client's name when the client is gone: it must look again."""
    publish, _ = mosquitto_clients
    papers = papers_of(site, site.papers(DEVICE))
    own, foreign = f"v1/{TENANT}/state/{DEVICE}", permitted(Action.PUBLISH, OTHER)
    watcher = opened(
        Session(address=site.broker.address(site.central), client_id="watcher", is_clean=True)
    )
    watcher.subscribe(["v1/#"])
    assert next_event(watcher, Granted) is not None
    for topic in (*foreign, *permitted(Action.SUBSCRIBE, OTHER), own):
        subprocess.run([publish, *papers, "-t", topic, "-m", "x", "-r"], timeout=60, check=False)
        dies_with_a_will(site, topic)
    heard: list[tuple[str, bytes]] = []
    while (own, b"will") not in heard and (event := next_event(watcher, Arrived)) is not None:
        assert isinstance(event, Arrived)
        heard.append((event.topic, event.payload))
    watcher.close()
    assert set(heard) == {(own, b"x"), (own, b"will")}
    late = opened(
        Session(address=site.broker.address(site.central), client_id="late", is_clean=True)
    )
    late.subscribe(["v1/#"])
    kept = next_event(late, Arrived)
    assert isinstance(kept, Arrived)
    assert (kept.topic, kept.payload) == (own, b"will")
    assert next_event(late, Arrived, 0.3) is None
    late.close()


@every_broker
def test_whoever_takes_another_s_session_by_its_name_hears_nothing_of_it(
    site: Site, mosquitto_clients: tuple[str, str], tmp_path: Path
) -> None:
    """With NATS a client id is free for all: what waits for the session still stays its own."""
    _, tool = mosquitto_clients
    topic = permitted(Action.SUBSCRIBE, OTHER)[0]

    def session(device: str, *words: str) -> str:
        papers = papers_of(site, site.papers(device))
        where = ["-i", OTHER, "-c", "-t", topic, *words]
        done = subprocess.run(
            [tool, *papers, *where], capture_output=True, text=True, timeout=90, check=False
        )
        return done.stdout

    session(OTHER, "-E")  # subscribes, and goes
    central = opened(Session(address=site.broker.address(site.central), client_id="speaker"))
    central.publish(topic, b"for the other")
    assert next_event(central, Taken) is not None
    central.close()
    assert session(DEVICE, "-W", "2") == ""
    assert session(OTHER, "-C", "1", "-W", "60").strip() == "for the other"


@every_broker
def test_without_papers_or_with_those_of_another_authority_nobody_is_let_in(
    site: Site, mosquitto_clients: tuple[str, str], tmp_path: Path
) -> None:
    from central.authority import Authority
    from tests.mqtt_bridge.doubles import enrolled

    tool, _ = mosquitto_clients
    where = ["-h", "127.0.0.1", "-p", str(site.broker.port), "--cafile", str(site.central.ca)]
    words = ["-q", "1", "-t", f"v1/{TENANT}/up/{DEVICE}/evt", "-m", "x"]
    foreign = enrolled(Authority.create(tmp_path / "other-ca"), tmp_path / "foreign", DEVICE)
    mine = ["--cert", str(foreign.certificate), "--key", str(foreign.private_key)]
    for papers in ([], mine):
        done = subprocess.run([tool, *where, *papers, *words], timeout=60, check=False)
        assert done.returncode != 0


@pytest.mark.parametrize("broker_kind", ["nats", "nats-deployed", "mosquitto"], indirect=True)
def test_a_name_that_was_never_granted_is_not_heard(
    site: Site, mosquitto_clients: tuple[str, str]
) -> None:
    """The deployed mosquitto knows devices by their certificates alone; see the revocation list."""
    tool, _ = mosquitto_clients
    watcher = opened(Session(address=site.broker.address(site.central), client_id="watcher"))
    watcher.subscribe(["v1/#"])
    assert next_event(watcher, Granted) is not None
    site.broker.reload([DeviceGrant(TENANT, OTHER)])
    time.sleep(0.3)
    topic = permitted(Action.PUBLISH, DEVICE)[0]
    papers = papers_of(site, site.papers(DEVICE))
    subprocess.run([tool, *papers, "-t", topic, "-m", "x"], timeout=60, check=False)
    assert next_event(watcher, Arrived, 0.5) is None
    watcher.close()


@pytest.mark.mosquitto
@pytest.mark.parametrize("broker_kind", ["mosquitto", "mosquitto-deployed"], indirect=True)
def test_nobody_takes_the_central_s_session_by_its_name(site: Site) -> None:
    """Mosquitto ties the name to the certificate; with NATS it is only hard to guess."""
    intake = opened(Session(address=site.broker.address(site.central), client_id="central-1"))
    thief = opened(Session(address=site.address(DEVICE), client_id="central"))
    intake.subscribe([f"v1/{TENANT}/up/+/+"])
    assert next_event(intake, Granted) is not None
    thief.publish(permitted(Action.PUBLISH, DEVICE)[0], b"x")
    assert next_event(intake, Arrived) is not None
    thief.close()
    intake.close()
