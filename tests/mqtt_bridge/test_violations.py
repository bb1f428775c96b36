"""What a broker refused is found in its log, under the name of who wanted it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.access import Action
from mqtt_bridge.brokers.violations import (
    LogTail,
    Violation,
    mosquitto_violations,
    nats_monitor_port,
    nats_violations,
)
from tests.mqtt_bridge.doubles import TENANT, Site, eventually
from tests.mqtt_bridge.test_access import papers_of

FOREIGN_UP, FOREIGN_DOWN = f"v1/{TENANT}/up/atm-1/evt", f"v1/{TENANT}/down/atm-1/#"


def test_who_publishes_or_listens_outside_its_topics_is_named(
    site: Site, mosquitto_clients: tuple[str, str]
) -> None:
    pub, sub = mosquitto_clients
    papers = papers_of(site, site.papers("van-1"))
    own = f"v1/{TENANT}/up/van-1/evt"
    for topic in (own, FOREIGN_UP, FOREIGN_UP):
        lie = ["-i", "atm-1"]  # a client calls itself what it likes
        subprocess.run([pub, *papers, *lie, "-t", topic, "-m", "x"], timeout=60, check=False)
    subprocess.run([sub, *papers, "-t", FOREIGN_DOWN, "-W", "1"], timeout=60, check=False)
    found: list[Violation] = []

    def all_are_found() -> bool:
        found.extend(site.broker.violations())
        return len(found) >= 3

    assert eventually(all_are_found)
    assert {v.client for v in found} == {"van-1"}
    assert [v.topic for v in found if v.action is Action.PUBLISH] == [FOREIGN_UP] * 2
    heard = [v for v in found if v.action is Action.SUBSCRIBE]
    assert heard
    assert {v.owner for v in found} == {"atm-1"}
    assert not site.broker.violations()


def test_lies_in_a_log_do_not_change_the_culprit() -> None:
    lines = [
        "1: Denied PUBLISH from van-1 (d0, q1, r0, m1, 'x', ... (1 bytes)) atm', ... (9 bytes))",
        "1: Received SUBSCRIBE from van-1",
        "1: \tv1/demo/down/van-1/# (QoS 1)",
        "1: \t# (QoS 1)",
        "1: Sending SUBACK to van-1",
        "1: \tv1/demo/state/van-1 (QoS 1)",
        "1: Received SUBSCRIBE from central",
        "1: \tv1/# (QoS 1)",
    ]
    found = mosquitto_violations(lines, {"van-1": "demo"}, "central")
    assert [(v.client, v.action, v.topic[:3]) for v in found] == [
        ("van-1", Action.PUBLISH, "x',"),
        ("van-1", Action.SUBSCRIBE, "#"),
    ]
    line = (
        '[9] 2026/01/02 03:04:05.6 [ERR] 127.0.0.1:9 - mid:7 - "a - mid:8 - " - Publish Violation'
        ' - Subject "v1.demo.up.atm-1.evt"'
    )
    assert nats_violations([line], {7: "van-1", 8: "atm-1"}.__getitem__) == [
        Violation(client="van-1", action=Action.PUBLISH, topic="v1/demo/up/atm-1/evt")
    ]


@given(st.lists(st.text(max_size=80)))
def test_any_log_is_read_without_a_word(lines: list[str]) -> None:
    assert mosquitto_violations(lines, {}, "central") == []
    assert nats_violations(lines, lambda number: "") == []
    assert nats_monitor_port("\n".join(lines)) is None


def test_a_log_is_read_once_over_restarts_turns_and_half_lines(tmp_path: Path) -> None:
    path, bookmark = tmp_path / "log", tmp_path / "read"
    assert LogTail(path, bookmark).lines() == []
    path.write_text("one\ntwo\nhal", encoding="utf-8")
    assert LogTail(path, bookmark).lines() == ["one", "two"]
    with path.open("a", encoding="utf-8") as file:
        file.write("f\n")
    assert LogTail(path, bookmark).lines() == ["half"]
    path.rename(tmp_path / "log.1")
    path.write_text("new\n", encoding="utf-8")
    assert LogTail(path, bookmark).lines() == ["new"]


def test_a_log_that_is_never_turned_is_emptied_once_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a line\n" * 10, encoding="utf-8")
    tail = LogTail(path, tmp_path / "read", max_bytes=50)
    assert len(tail.lines()) == 10
    assert path.stat().st_size == 0
    with path.open("a", encoding="utf-8") as file:
        file.write("more\n")
    assert tail.lines() == ["more"]


@pytest.mark.parametrize("damage", ["", "x", "1", "\xff\xff"])
def test_a_damaged_bookmark_begins_anew(tmp_path: Path, damage: str) -> None:
    (tmp_path / "read").write_text(damage, encoding="latin-1")
    (tmp_path / "log").write_text("one\n", encoding="utf-8")
    assert LogTail(tmp_path / "log", tmp_path / "read").lines() == ["one"]
