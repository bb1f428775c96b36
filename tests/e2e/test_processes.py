"""Agent and central as separate processes over a real broker: late brokers, tampering, mistakes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from central.evidence import check_message
from central.store import open_sqlite
from contract import SystemClock, UnixMicros, seal
from contract.clock import ClockQuality, MonoMicros
from contract.envelope import NO_PREVIOUS
from contract.topics import Lane, up
from edge_agent.identity import Identity
from hardware.simulators.nas import attack_capture
from mqtt_bridge.ports import BrokerAddress
from qianshao.demo import site as demo_site
from qianshao.demo.site import VAN, Site
from tests.samples import a_detection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Child:
    """``qianshao agent`` or ``qianshao central`` with its log; ended by pid."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "qianshao", *arguments], stdout=file, stderr=file
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def words(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> None:
        until(lambda: words in self.words, words)


def until(is_so: Callable[[], bool], what: str, timeout_s: float = 45.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def insist(say: Callable[[], None], is_heard: Callable[[], bool], what: str) -> None:
    """Say it again until it is heard: the broker PUBACKs even while nobody subscribes yet."""
    for _ in range(20):
        say()
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            if is_heard():
                return
            time.sleep(0.1)
    raise AssertionError(f"never: {what}")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = demo_site.prepare(tmp_path / "site", 0)
    capture = tmp_path / "attack.pcap"
    capture.write_bytes(attack_capture())
    demo_site.write_van(made, None, capture)
    return made


def central_of(site: Site) -> Child:
    return Child(site.folder / "central.log", "central", "--config", str(site.central_config))


def van_of(site: Site) -> Child:
    return Child(site.folder / "van.log", "agent", "--config", str(site.agent_config(VAN)))


def get(site: Site, path: str) -> httpx.Response:
    key = {"authorization": f"Bearer {site.visitor.key}"}
    return httpx.get(f"{site.url}{path}", timeout=5, headers=key)


def api(site: Site, path: str) -> object:
    try:
        return get(site, f"api/{path}").json()
    except httpx.TransportError:
        return {}


def alerts(site: Site) -> list[dict[str, object]]:
    answer = api(site, "alerts")
    return list(answer.get("alerts", [])) if isinstance(answer, dict) else []


def test_an_agent_without_a_broker_says_so_and_delivers_later(site: Site) -> None:
    with van_of(site) as van:
        van.wait_for('"event": "link_down"')
        van.wait_for("FAKE_BTS_SUSPECTED")
        with central_of(site) as central:
            central.wait_for("central_started")
            until(lambda: len(alerts(site)) == 1, "the alert arrives after all")


def test_a_tampered_message_is_refused_counted_and_shown(site: Site) -> None:
    identity = Identity.load_or_create(site.agent_folder(VAN), VAN)
    raw = seal(
        a_detection(),
        tenant=demo_site.TENANT,
        device=VAN,
        boot_id=b"\x01" * 16,
        seq=1,
        wall=UnixMicros(1_700_000_000_000_000),
        mono=MonoMicros(1),
        quality=ClockQuality(is_synced=True),
        prev=NO_PREVIOUS,
        signer=identity.signer,
    )
    tampered = bytearray(raw)
    tampered[len(raw) // 2] ^= 0x01
    with central_of(site) as central:
        central.wait_for("central_started")
        page = f"devices/{VAN}?lang=en"
        insist(
            lambda: publish(site, identity, bytes(tampered)),
            lambda: "bad_signature" in str(api(site, f"devices/{VAN}")),
            "the refusal is told",
        )
        assert alerts(site) == []
        assert "signature" in get(site, page).text.lower()
        insist(  # the same message, whole, is taken all the same
            lambda: publish(site, identity, raw),
            lambda: len(alerts(site)) == 1,
            "the genuine message is stored",
        )


@pytest.mark.parametrize("kind", ["nats", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def test_a_device_is_enrolled_heard_and_put_out_while_the_central_runs(
    site: Site, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "mosquitto":
        request.getfixturevalue("mosquitto")
    text = site.central_config.read_text(encoding="utf-8")
    site.central_config.write_text(text.replace("[broker]", f'[broker]\nkind = "{kind}"'))
    agent_file = second_van(site)
    central_file = str(site.central_config)
    with central_of(site) as central:
        central.wait_for("central_started")
        token = site.folder / "token"
        invite = ["device", "invite", "van-02", "--kind", "van", "--config", central_file]
        token.write_text(run(*invite), encoding="utf-8")
        run("device", "enrol", "--config", str(agent_file), "--token-file", str(token))
        with Child(site.folder / "van-02.log", "agent", "--config", str(agent_file)) as van:
            until(lambda: len(alerts(site)) == 1, "the van is heard")
            thief = Identity.load_or_create(site.agent_folder(VAN), VAN)
            publish(site, thief, b"not mine", up(demo_site.TENANT, "van-02", Lane.EVIDENCE))
            until(
                lambda: ("TOPIC_ACL_VIOLATION", VAN) in kinds(site), "what the broker refused", 10
            )
            store = open_sqlite(site.central_folder / "central.sqlite3")
            since = time.monotonic()
            assert store.revoke("van-02", at=SystemClock().wall())
            until(lambda: '"event": "link_down"' in van.words, "the van is put out", 5.0)
            seconds = time.monotonic() - since
            print(f"{kind}: from the revocation to the end of the live session {seconds:.2f} s")
            refused = "not_authorised" if kind == "nats" else "certificate revoked"
            until(lambda: refused in van.words, "and is not let in again")
            stored = store.message("van-02", 1)
            store.close()
    assert stored is not None
    store = open_sqlite(site.central_folder / "central.sqlite3")
    assert check_message(store, stored, demo_site.TENANT).is_intact
    store.close()


def run(*arguments: str) -> str:
    """One command to its end; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "qianshao", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def second_van(site: Site) -> Path:
    """Configuration of a van that nobody knows yet."""
    text = site.agent_config(VAN).read_text(encoding="utf-8")
    path = site.agent_config("van-02")
    path.write_text(text.replace(VAN, "van-02"), encoding="utf-8")
    return path


def kinds(site: Site) -> set[tuple[object, object]]:
    return {(alert["kind"], alert["device"]) for alert in alerts(site)}


def publish(site: Site, identity: Identity, payload: bytes, topic: str = "") -> None:
    files = identity.tls_files(
        ca=site.central_folder / "ca" / "ca.pem",
        certificate=site.agent_folder(VAN) / "tls.pem",
    )
    address = BrokerAddress(host="127.0.0.1", port=site.broker_port, tls=files)
    send_one(address, topic or up(demo_site.TENANT, VAN, Lane.EVIDENCE), payload)


def send_one(address: BrokerAddress, topic: str, payload: bytes) -> None:
    import ssl

    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    assert address.tls is not None
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=VAN)
    context = ssl.create_default_context(cafile=str(address.tls.ca))
    context.load_cert_chain(str(address.tls.certificate), str(address.tls.private_key))
    client.tls_set_context(context)
    client.connect(address.host, address.port)
    client.loop_start()
    try:
        client.publish(topic, payload, qos=1).wait_for_publish(timeout=10)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("command", ["agent", "central"])
def test_a_configuration_mistake_names_key_and_line(tmp_path: Path, command: str) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text('tenant = "demo"\n\n[broker]\nprot = 8883\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "qianshao", command, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "wrong.toml:4: broker.prot: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_pages_refuse_an_address_of_the_network(site: Site) -> None:
    text = site.central_config.read_text(encoding="utf-8")
    site.central_config.write_text(text.replace("[http]", '[http]\nhost = "0.0.0.0"'), "utf-8")
    with central_of(site) as central:
        central.wait_for("not loopback")
