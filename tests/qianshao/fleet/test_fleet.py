"""A small fleet over a real broker: lines that go and return, and a yardstick that can say no."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from qianshao.fleet.ledger import Ledger, read_ledger
from qianshao.fleet.plan import Outage, Plan
from qianshao.fleet.simulate import plans_of
from qianshao.fleet.site import FleetSite, prepare
from qianshao.fleet.station import LEDGER, Station
from qianshao.fleet.traffic import Arrivals, gaps_s, id_of, made_up
from qianshao.fleet.verdict import judge


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qianshao", "fleet", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_come_back_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Live messages go first while 400,000 old ones drain."""
    command = [sys.executable, "-m", "qianshao", "fleet", "simulate", "--stations", "200"]
    more = ["--backlog", "2000", "--messages", "600", "--rate", "1", "--patience", "3000"]
    done = subprocess.run(
        [*command, *more, "--json"], capture_output=True, text=True, timeout=3500, check=False
    )
    with capsys.disabled():
        print(f"\nfleet of 200, 2,000 messages each: {done.stdout}")
    result = json.loads(done.stdout)
    assert result["is_clean"]
    assert result["is_drained"]
    assert result["live_p95_s"] < result["seconds"] / 20


@pytest.mark.slow
def test_a_fleet_loses_its_lines_and_all_arrives(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    done = simulate(
        *("--stations", "4", "--backlog", "20", "--messages", "15", "--rate", "5"),
        *("--outage", "1,1,0.5", "--processes", "2", "--folder", str(folder), "--json"),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["durable"], result["stored"]) == (140, 140)
    assert (result["lost"], result["twice"], result["foreign"], result["chain_breaks"]) == (
        *(0, 0, 0, 0),
    )
    assert result["live_p95_s"] is not None
    log = (folder / "logs" / "member-0.log").read_text(encoding="utf-8")
    assert '"is_up": false' in log
    assert "all lines come up now" in done.stderr
    again = simulate("--folder", str(folder))
    assert again.returncode == 1
    assert "is not empty" in again.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--stations", "0"), ("--outage", "1,2"), ("--outage", "1,2,3"), ("--arrivals", "never")],
)
def test_wrong_arguments_are_named(arguments: tuple[str, ...]) -> None:
    done = simulate(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[tuple[FleetSite, Plan]]:
    """A site whose station has said five messages, all of them in the central's store."""
    site = prepare(tmp_path / "site", ["s-1"], "nats")
    (plan,) = plans_of(site, 1, backlog=3, messages=2, rate_per_s=1.0, arrivals=Arrivals.STEADY)
    station = Station(plan, "s-1")
    station.fill(station.unsaid())
    station.close()
    deliver(site, plan)
    yield site, plan
    site.broker.stop()


def deliver(site: FleetSite, plan: Plan) -> None:
    with (
        closing(sqlite3.connect(Path(plan.folder) / "s-1" / "outbox.sqlite3")) as outbox,
        closing(sqlite3.connect(site.store)) as store,
    ):
        digests = [bytes(32)]
        from contract.envelope import message_digest

        for seq, cose in outbox.execute("SELECT seq, cose FROM outbox ORDER BY seq").fetchall():
            digest = message_digest(cose)
            put(store, seq, id_of("s-1", seq), digests[-1], digest)
            digests.append(digest)
        store.commit()


def put(store: sqlite3.Connection, seq: int, message_id: bytes, prev: bytes, digest: bytes) -> None:
    store.execute(
        "INSERT INTO messages (device, seq, message_id, type, boot_id, wall, mono, "
        "is_clock_synced, received_at, digest, prev, kid, cose) "
        "VALUES ('s-1', ?, ?, 'detection', x'00', 1000000, 0, 1, 1500000, ?, ?, x'00', x'00')",
        (seq, message_id, digest, prev),
    )


def change(site: FleetSite, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(site.store)) as store:
        store.execute(statement, values)
        store.commit()


def test_a_whole_delivery_is_clean(judged: tuple[FleetSite, Plan]) -> None:
    site, plan = judged
    verdict = judge(site, [plan])
    assert verdict.is_clean
    assert (verdict.durable, verdict.stored) == (5, 5)
    assert (verdict.live_p50_s, verdict.live_p95_s, verdict.live_max_s) == (0.5, 0.5, 0.5)


def test_a_missing_row_is_lost_and_breaks_the_chain(judged: tuple[FleetSite, Plan]) -> None:
    site, plan = judged
    change(site, "DELETE FROM messages WHERE seq = 3")
    verdict = judge(site, [plan])
    assert (verdict.lost, verdict.twice, verdict.chain_breaks) == (1, 0, 1)
    assert not verdict.is_clean


def test_the_same_content_under_two_numbers_is_twice(judged: tuple[FleetSite, Plan]) -> None:
    site, plan = judged
    change(site, "UPDATE messages SET message_id = ? WHERE seq = 5", id_of("s-1", 4))
    verdict = judge(site, [plan])
    assert (verdict.lost, verdict.twice, verdict.foreign) == (1, 1, 0)


def test_what_nobody_said_is_foreign(judged: tuple[FleetSite, Plan]) -> None:
    site, plan = judged
    change(site, "UPDATE messages SET message_id = ? WHERE seq = 5", b"\xff" * 16)
    verdict = judge(site, [plan])
    assert (verdict.lost, verdict.foreign) == (1, 1)
    assert not verdict.is_clean


def test_a_station_that_died_says_only_what_is_not_durable(judged: tuple[FleetSite, Plan]) -> None:
    _, plan = judged
    ledger = Path(plan.folder) / "s-1" / LEDGER
    ledger.write_bytes(b"1\n2\n4\n5")  # the kill tore the last line
    station = Station(plan, "s-1")
    assert list(station.unsaid()) == [3, 5]
    (third, fifth) = station.put(station.unsaid())
    assert third.result().is_known
    assert fifth.result().is_known
    station.close()


def test_a_ledger_counts_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger.txt"
    assert read_ledger(path) == set()
    ledger = Ledger(path)
    for index in (7, 9):
        ledger.note(index)
    ledger.close()
    with path.open("ab") as file:
        file.write(b"1")
    assert read_ledger(path) == {7, 9}


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = Plan(
        tenant="fleet",
        folder="f",
        stations=("a", "b"),
        broker_host="127.0.0.1",
        broker_port=1,
        ca="ca",
        central_key="key",
        backlog=1,
        messages=2,
        rate_per_s=0.5,
        arrivals=Arrivals.BURST,
        outages=(Outage(after_s=1.0, lasts_s=2.0, share=0.5),),
    )
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("arrivals", list(Arrivals))
def test_arrivals_keep_their_rate(arrivals: Arrivals) -> None:
    gaps = itertools.islice(gaps_s(arrivals, 4.0, random.Random(1)), 5000)
    assert sum(gaps) / 5000 == pytest.approx(0.25, rel=0.05)


def test_the_same_number_is_the_same_content() -> None:
    assert made_up("s-1", 5) == made_up("s-1", 5)
    assert len({id_of(device, n) for device in ("s-1", "s-2") for n in range(50)}) == 100
