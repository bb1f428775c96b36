"""The whole system as a newcomer sees it, with parts killed in the middle."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from contract.envelope import open_envelope
from contract.keys import FindKey, KnownKey, key_id, load_public_pem
from tests.e2e.demo_process import DemoProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


def stored(folder: Path, query: str) -> list[tuple[object, ...]]:
    store = folder / "central" / "central.sqlite3"
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as central:
        return central.execute(query).fetchall()


def keys_of(folder: Path) -> FindKey:
    known = {}
    for device, pem in stored(folder, "SELECT device, public_pem FROM device_keys"):
        public = load_public_pem(str(pem))
        known[key_id(public)] = KnownKey(str(device), public)
    return known.get


def assert_evidence_holds(folder: Path) -> None:
    """Every stored message verifies, and each device's chain is whole from its first message."""
    find = keys_of(folder)
    rows = stored(folder, "SELECT device, seq, cose FROM messages ORDER BY device, seq")
    assert rows
    before: dict[object, bytes] = {}
    for device, seq, cose in rows:
        assert isinstance(cose, bytes)
        envelope = open_envelope(cose, tenant="demo", find_key=find)
        assert (envelope.payload.device, envelope.payload.seq) == (device, seq)
        assert envelope.payload.prev == before.get(device, bytes(32)), (device, seq)
        before[device] = envelope.digest


def test_the_demo_without_recordings_says_so_and_loses_nothing(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo", seconds=18, field_data=None) as demo:
        status, summary = demo.summary()
        words = "\n".join(demo.words)
    assert "no recordings (QIANSHAO_FIELD_DATA)" in words
    assert "the stranger is a made-up template" in words
    assert (status, summary["lost"], summary["duplicated"]) == (0, 0, 0)
    assert summary["alerts_shown"] == 2
    kinds = stored(tmp_path / "demo", "SELECT kind FROM alerts ORDER BY kind")
    assert kinds == [("FAKE_BTS_CONFIRMED",), ("FAKE_BTS_SUSPECTED",)]
    decisions = stored(tmp_path / "demo", "SELECT decision, reason FROM decisions ORDER BY seq")
    assert decisions[:3] == [
        ("ALLOW", None),
        ("DENY", "FACE_MISMATCH"),
        ("REFER_TO_COUNTER", "LIVENESS_UNAVAILABLE"),
    ]
    assert_evidence_holds(tmp_path / "demo")


@pytest.mark.field_data
def test_the_demo_replays_recordings(tmp_path: Path, field_data: Path) -> None:
    with DemoProcess(tmp_path / "demo", seconds=24, field_data=field_data) as demo:
        status, summary = demo.summary()
    assert (status, summary["lost"], summary["duplicated"]) == (0, 0, 0)
    assert summary["detections"] == summary["alerts_shown"] == 3
    assert summary["alert_latency_ms"]["count"] >= 1
    files = stored(
        tmp_path / "demo",
        "SELECT json_extract(body, '$.source.file') FROM detections ORDER BY 1",
    )
    assert files == [("exp1_nas.pcap",), ("exp2_nas.pcap",), ("exp3_nas.pcap",)]


@pytest.mark.parametrize("part", ["van", "atm", "central", "broker"])
def test_kill_9_of_a_part_loses_nothing_and_doubles_nothing(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "demo"
    with DemoProcess(folder, seconds=26, field_data=None) as demo:
        demo.wait_for("FAKE_BTS_SUSPECTED")
        demo.wait_for("atm     process")
        demo.kill(part)
        if part == "broker":
            demo.wait_for("the broker had died and was started again")
        else:
            demo.wait_for(f"{part:7} died (status -9) and is started again")
        status, summary = demo.summary()
    assert (status, summary["lost"], summary["duplicated"]) == (0, 0, 0)
    assert summary["alerts_shown"] == 2
    assert part == "broker" or summary["restarts"][part] == 1
    twice = stored(folder, "SELECT count(*) - count(DISTINCT detection_id) FROM detections")
    assert twice == [(0,)]
    assert_evidence_holds(folder)


def test_the_demo_ends_every_process_it_started(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo", seconds=12, field_data=None) as demo:
        pids = [demo.pid_of(part) for part in ("central", "modem", "van", "atm", "broker")]
        demo.summary()
    assert not [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists()]
