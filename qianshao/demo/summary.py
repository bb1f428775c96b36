"""Counts at the end of a demo, from the stores themselves: what was sent, stored, receipted."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

from qianshao.demo import site
from qianshao.demo.witness import Witness, percentile
from qianshao.parts import Crew

SCHEMA = "qianshao.demo/1"
AGENTS = ("van", "atm")
_POLL_S = 0.2


def summarise(place: site.Site, crew: Crew, witness: Witness, settle_s: float) -> dict[str, Any]:
    """Wait until the outboxes are empty, stop the agents, and compare both ends.

    Lost: a sequence number that an agent gave out and that is neither in the central's store nor
    still in the agent's outbox. Duplicated: the same content stored under two numbers.
    """
    deadline = time.monotonic() + settle_s
    while _waiting(place) and time.monotonic() < deadline:
        crew.tend()
        time.sleep(_POLL_S)
    for part in crew:
        if part.name in AGENTS:
            part.stop()
    with closing(_open(place.central_folder / "central.sqlite3")) as central:
        stored = {
            device: {row[0] for row in central.execute(_SEQS, (device,))}
            for device in (site.VAN, site.ATM)
        }
        detections = _one(central, "SELECT count(*) FROM detections")
        decisions = _one(central, "SELECT count(*) FROM decisions")
        duplicated = _one(central, _TWICE)
    lost = receipted = 0
    for device, seqs in stored.items():
        last_seq, waiting, done = _outbox(place, device)
        lost += len(set(range(1, last_seq + 1)) - seqs - waiting)
        receipted += done
    latencies = witness.latencies_ms
    return {
        "schema": SCHEMA,
        "detections": detections,
        "decisions": decisions,
        "alerts_shown": len(witness.alerts),
        "receipts": receipted,
        "lost": lost,
        "duplicated": duplicated,
        "alert_latency_ms": {
            "p50": percentile(latencies, 0.50),
            "p95": percentile(latencies, 0.95),
            "count": len(latencies),
        },
        "restarts": {part.name: part.restarts for part in crew},
    }


_SEQS = "SELECT seq FROM messages WHERE device = ?"
_TWICE = "SELECT count(*) - count(DISTINCT device || hex(message_id)) FROM messages"


def _open(path: Any) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)


def _one(store: sqlite3.Connection, query: str) -> int:
    return int(store.execute(query).fetchone()[0])


def _outbox(place: site.Site, device: str) -> tuple[int, set[int], int]:
    """Return the last number given out, the numbers still waiting, and how many were receipted."""
    path = place.agent_folder(device) / "outbox.sqlite3"
    if not path.exists():  # on a busy machine a short demo can end before this agent began
        return 0, set(), 0
    with closing(_open(path)) as store:
        waiting = {row[0] for row in store.execute("SELECT seq FROM outbox")}
        chain = store.execute("SELECT last_seq, receipted FROM chain").fetchone()
    return (int(chain[0]), waiting, int(chain[1])) if chain else (0, waiting, 0)


def _waiting(place: site.Site) -> int:
    return sum(len(_outbox(place, device)[1]) for device in (site.VAN, site.ATM))
