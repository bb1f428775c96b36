"""Pages and API over a real store: what they say, in which language, under which headers."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from central.hub import Hub
from central.ingest import IngestStatus
from central.store import StoreUnavailableError
from central.web import BindError, check_bind, create_app
from central.web.security import HEADERS
from contract import Rival, Source, UnixMicros
from contract.envelope import message_digest
from contract.messages import Evidence
from contract.topics import Lane
from contract.words import PartState, Presence, RivalVerdict, TimeBasis
from tests.central.kit import (
    START,
    Central,
    Station,
    a_decision,
    a_health,
    an_attack,
    settings,
)
from tests.central.signing import client_as
from tests.samples import a_detection


@pytest.fixture
def client(central: Central) -> Iterator[httpx.Client]:
    app = create_app(
        central.store, Hub(), settings(central.path.parent), lambda: central.ingest.status
    )
    with client_as(app) as made:
        yield made


def a_full_detection(**changes: Any) -> Any:
    return a_detection(
        rivals=(
            Rival(explanation="DECODE_ERROR", verdict=RivalVerdict.RULED_OUT, values={"n": 2}),
        ),
        evidence=(Evidence(name="cell_records", sha256=b"\xab" * 32, size_bytes=77),),
        fired_at=UnixMicros(START - 40_000),
        **changes,
    )


@pytest.fixture
def busy(central: Central, van: Station) -> Central:
    """A central with an alert of a van, an ATM's visits, health, presence and a refusal."""
    atm = central.enrol(Station(device="atm-1", seed=5))
    central.take(van.state_topic, van.state(Presence.ONLINE))
    central.take(van.topic(), van.next(a_full_detection()))
    central.take(van.topic(Lane.HEALTH), van.next(a_health(state=PartState.DEGRADED)))
    central.take(atm.topic(Lane.DECISIONS), atm.next(a_decision()), atm.next(an_attack()))
    central.take(van.topic(), b"<script>alert(1)</script>")
    return central


def page(client: httpx.Client, path: str, lang: str = "en") -> str:
    response = client.get(path, params={"lang": lang})
    assert response.status_code == 200, response.text
    return html.unescape(response.text)


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
@pytest.mark.parametrize("path", ["/", "/devices"])
def test_pages_of_an_empty_central_render(client: httpx.Client, path: str, lang: str) -> None:
    assert f'<html lang="{lang}">' in page(client, path, lang)


def test_an_empty_central_does_not_say_that_all_is_well(client: httpx.Client) -> None:
    text = client.get("/overview?lang=en").text
    assert "No device is enrolled." in text
    assert 'data-good="true"' not in text
    assert 'data-list-state="stale"' not in client.get("/lists").text  # 0 are stale


def test_the_live_page_is_complete_without_javascript(client: httpx.Client, busy: Central) -> None:
    text = page(client, "/")
    assert 'data-alert-id="1" data-severity="critical" data-level="confirmed"' in text
    assert "GSM cell of an operator that never held a GSM network" in text
    assert "ttyUSB2 line 40" in text
    assert "¥1,234.50" in text
    assert "•••• 7894" in text
    assert 'data-device-id="van-1" data-presence="online" data-worst="degraded"' in text
    assert "a person verifies and notifies" in text
    chinese = page(client, "/", "zh")
    assert "该运营商从未拥有 GSM 网络" in chinese
    assert "核实与通报由人负责" in chinese


def test_a_replay_is_marked_and_a_time_without_date_shows_none(
    client: httpx.Client, central: Central, van: Station
) -> None:
    source = Source(file="exp1.pcap", place="packet 12")
    recorded = a_detection(time_basis=TimeBasis.RECORDED, source=source)
    central.take(van.topic(), van.next(recorded))
    text = page(client, "/")
    assert "replay of a recording" in text
    assert "exp1.pcap packet 12" in text
    assert "1970-01-01 08:10:00" in text
    synthetic = a_detection(
        time_basis=TimeBasis.SYNTHETIC, subject={"plmn": "460-03"}, detection_id=b"2" * 16
    )
    central.take(van.topic(), van.next(synthetic))
    assert "t+600 s" in page(client, "/alerts/2")


def test_an_alert_explains_itself(client: httpx.Client, busy: Central) -> None:
    text = page(client, "/alerts/1")
    message = busy.store.message("van-1", 1)
    assert message is not None
    for expected in (
        "GSM-PLMN-IMPOSSIBLE",
        "RXLEV, dBm",
        "-51.5",
        "ruled out",
        "A record misread on the way",
        "ab" * 32,
        message.digest.hex(),
        message.kid.hex(),
        "van-1 · 1 · detection",
        'data-intact="true"',
        "1040 ms",
    ):
        assert expected in text, expected


def test_an_attack_shows_the_visit(client: httpx.Client, busy: Central) -> None:
    text = page(client, "/alerts/2")
    assert "Suspected presentation attack" in text
    assert "0.71 ≥ 0.36" in text
    assert "simulated camera" in text
    assert "challenge" in text


def test_the_signed_message_comes_back_byte_for_byte(client: httpx.Client, busy: Central) -> None:
    response = client.get("/alerts/1/envelope")
    message = busy.store.message("van-1", 1)
    assert message is not None
    assert response.content == message.cose
    assert response.headers["content-type"] == "application/cose"
    assert response.headers["etag"] == f'"{message_digest(response.content).hex()}"'
    assert response.headers["content-disposition"] == 'attachment; filename="van-1-1.cose"'


@pytest.mark.parametrize("keeps_digest", [True, False])
def test_damaged_evidence_is_said_to_be_damaged(
    client: httpx.Client, busy: Central, keeps_digest: bool
) -> None:
    message = busy.store.message("van-1", 1)
    assert message is not None
    touched = message.cose[:-1] + bytes([message.cose[-1] ^ 1])
    digest = message.digest if keeps_digest else message_digest(touched)
    with closing(sqlite3.connect(busy.path)) as connection, connection:
        connection.execute(
            "UPDATE messages SET cose = ?, digest = ? WHERE device = 'van-1' AND seq = 1",
            (touched, digest),
        )
    assert 'data-intact="false"' in page(client, "/alerts/1")
    assert client.get("/alerts/1/envelope").status_code == 500


def test_evidence_of_a_revoked_device_still_verifies(client: httpx.Client, busy: Central) -> None:
    busy.store.revoke("van-1", START)
    assert 'data-intact="true"' in page(client, "/alerts/1")
    assert "revoked" in page(client, "/devices")


def test_a_device_shows_its_parts_receipts_gaps_and_refusals(
    client: httpx.Client, busy: Central, van: Station
) -> None:
    van.lose_store(1001)
    busy.take(van.topic(Lane.HEALTH), van.next(a_health()))
    text = page(client, "/devices/van-1")
    for expected in (
        "sensor modem0",
        "everything stored up to seq 1001",
        "3–1000",
        'data-refusal="malformed"',
        "the device's store was lost or replaced",
    ):
        assert expected in text, expected
    assert "<script>alert(1)" not in text
    assert "malformed" in page(client, "/devices")


def test_a_hostile_name_is_text(client: httpx.Client, central: Central, van: Station) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    source = Source(file=evil, place="</script>")
    central.take(van.topic(), van.next(a_detection(subject={evil: evil}, source=source)))
    for path in ("/", "/alerts/1"):
        assert "<img src=x" not in client.get(path).text


def test_the_api_answers_with_the_views(client: httpx.Client, busy: Central) -> None:
    first = client.get("/api/alerts", params={"limit": 1}).json()
    assert (first["schema"], [a["id"] for a in first["alerts"]]) == ("qianshao-alerts/1", [2])
    second = client.get("/api/alerts", params={"before": first["next_before"]}).json()
    assert ([a["id"] for a in second["alerts"]], second["next_before"]) == ([1], None)
    assert second["alerts"][0]["subject"] == {"plmn": "460-11", "arfcn": 62}
    assert second["alerts"][0]["latency_ms"] == 1040.0

    one = client.get("/api/alerts/1").json()
    assert one["detections"][0]["reasons"][0]["rule"] == "GSM-PLMN-IMPOSSIBLE"
    devices = client.get("/api/devices").json()["devices"]
    assert [d["device"] for d in devices] == ["atm-1", "van-1"]
    assert devices[1]["outbox_depth"] == 3
    device = client.get("/api/devices/van-1").json()
    assert device["refusal_counts"] == {"malformed": 1}

    status = client.get("/api/status").json()
    assert status["state"] == "ok"
    assert {k: status[k] for k in ("messages", "detections", "decisions", "alerts", "refused")} == {
        "messages": 4,
        "detections": 1,
        "decisions": 2,
        "alerts": 2,
        "refused": 1,
    }
    assert (status["devices"], status["devices_online"]) == (2, 1)
    assert status["alert_latency_ms"]["p95"] >= status["alert_latency_ms"]["p50"] > 0


def test_no_card_reference_leaves_by_the_api(client: httpx.Client, busy: Central) -> None:
    row = busy.store.snapshot(9, 9).decisions[0]
    for path in ("/", "/alerts/2", "/api/alerts", "/api/alerts/2"):
        assert row.body["card"]["hmac"] not in client.get(path).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/alerts/99", 404),
        ("/api/alerts/0", 422),
        ("/api/alerts/99999999999999999999999", 422),
        ("/api/alerts?limit=0", 422),
        ("/api/devices/nobody", 404),
        ("/api/nothing", 404),
    ],
)
def test_problems_of_the_api_are_problem_details(
    client: httpx.Client, path: str, status: int
) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert problem["detail"]


@pytest.mark.parametrize("path", ["/alerts/99", "/devices/nobody", "/devices/NO!", "/nothing"])
def test_problems_of_pages_are_pages(client: httpx.Client, path: str) -> None:
    response = client.get(path, headers={"accept-language": "en"})
    assert response.status_code == 404
    assert "Back to the first page" in response.text


def test_a_store_that_is_away_is_said_so(
    client: httpx.Client, central: Central, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailableError("disk I/O error")

    monkeypatch.setattr(central.store, "snapshot", fail)
    monkeypatch.setattr(central.store, "alerts", fail)
    assert client.get("/").status_code == 503
    assert client.get("/api/alerts").json()["status"] == 503


def test_trouble_of_the_central_itself_is_on_every_page(central: Central) -> None:
    trouble = IngestStatus(store_problem="database or disk is full", is_connected=False)
    app = create_app(central.store, Hub(), settings(central.path.parent), lambda: trouble)
    with client_as(app) as client:
        for path in ("/", "/devices"):
            text = page(client, path)
            assert "nothing new is taken until it can. (database or disk is full)" in text
            assert "No connection to the broker" in text
        status = client.get("/api/status").json()
    assert (status["state"], status["store_problem"]) == ("degraded", "database or disk is full")
    assert status["is_broker_connected"] is False


def test_without_trouble_no_page_says_any(client: httpx.Client, central: Central) -> None:
    assert "data-trouble" not in page(client, "/")


# -- headers and languages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/devices", "/api/alerts", "/api/nothing", "/nothing", "/static/live.js"]
)
def test_every_answer_has_the_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    for name, value in HEADERS.items():
        assert headers[name] == value
    wanted = "no-cache" if path.startswith("/static/") else "no-store"
    assert headers["cache-control"] == wanted


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "central"])
def test_a_rebound_name_is_not_answered(client: httpx.Client, host: str) -> None:
    response = client.get("/", headers={"host": host})
    assert response.status_code == 400
    assert "content-security-policy" in response.headers


@pytest.mark.parametrize("host", ["localhost:8470", "127.0.0.1", "[::1]:8470"])
def test_the_machines_own_names_are_answered(client: httpx.Client, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


def test_no_page_holds_inline_script_or_style(client: httpx.Client, busy: Central) -> None:
    for path in ("/", "/alerts/1", "/alerts/2", "/devices", "/devices/van-1"):
        text = client.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        assert not re.findall(r"<script(?![^>]* src=\"/static/)[^>]*>", text)
        assert not re.findall(r"<script[^>]*>[^<]", text)
        assert "http://" not in text
        assert "https://" not in text


def test_the_interface_pages_of_others_are_off(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404
    assert "/api/alerts" in client.get("/api/openapi.json").json()["paths"]


def test_a_language_asked_for_is_remembered(client: httpx.Client) -> None:
    response = client.get("/", params={"lang": "en"}, headers={"accept-language": "zh"})
    assert response.headers["content-language"] == "en"
    assert "lang=en" in response.headers["set-cookie"]
    assert 'lang="en"' in client.get("/devices", headers={"accept-language": "zh"}).text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_may_be_bound(host: str) -> None:
    assert check_bind(host) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "central.example", "", "10.0"])
def test_anything_else_may_not(host: str) -> None:
    with pytest.raises(BindError):
        check_bind(host)
