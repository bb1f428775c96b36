"""What became of a fleet's messages: ledgers and the central's store compared from outside."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from qianshao.demo.witness import percentile
from qianshao.fleet.ledger import read_ledger
from qianshao.fleet.plan import Plan
from qianshao.fleet.site import FleetSite
from qianshao.fleet.station import LEDGER
from qianshao.fleet.traffic import id_of

NO_PREVIOUS = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts over all stations."""

    durable: int
    """Messages that stations were told are durable."""
    stored: int
    """Rows of the central's store."""
    lost: int
    """Durable and not stored."""
    twice: int
    """Rows beyond the first with the same content."""
    foreign: int
    """Rows whose content no station said."""
    chain_breaks: int
    """Rows whose ``prev`` is not the digest of the row before."""
    live_p50_s: float | None
    live_p95_s: float | None
    """From being handed to the outbox to being stored, of messages beyond the backlog."""
    live_max_s: float | None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, invented or broken."""
        return not (self.lost or self.twice or self.foreign or self.chain_breaks)


def judge(site: FleetSite, plans: list[Plan]) -> Verdict:
    """Compare; the stations should be stopped, or the figures are of a moment."""
    durable = stored = lost = twice = foreign = breaks = 0
    waits_s: list[float] = []
    with closing(sqlite3.connect(f"file:{site.store}?mode=ro", uri=True, timeout=10.0)) as store:
        for plan in plans:
            for device in plan.stations:
                rows = store.execute(_ROWS, (device,)).fetchall()
                noted = read_ledger(Path(plan.folder) / device / LEDGER)
                known = {id_of(device, index): index for index in range(1, plan.last_index + 1)}
                counts = Counter(known.get(row[0]) for row in rows)
                foreign += counts.pop(None, 0)
                durable += len(noted)
                stored += len(rows)
                lost += len(noted - counts.keys())
                twice += sum(count - 1 for count in counts.values())
                breaks += _breaks([(row[1], row[2]) for row in rows])
                waits_s += [row[3] / 1e6 for row in rows if known.get(row[0], 0) > plan.backlog]
    return Verdict(
        durable=durable,
        stored=stored,
        lost=lost,
        twice=twice,
        foreign=foreign,
        chain_breaks=breaks,
        live_p50_s=_seconds(waits_s, 0.5),
        live_p95_s=_seconds(waits_s, 0.95),
        live_max_s=_seconds(waits_s, 1.0),
    )


_ROWS = (
    "SELECT message_id, prev, digest, received_at - wall FROM messages WHERE device = ? "
    "ORDER BY seq"
)


def _breaks(links: list[tuple[bytes, bytes]]) -> int:
    """Count the places where a chain does not hold."""
    before, breaks = NO_PREVIOUS, 0
    for prev, digest in links:
        breaks += prev != before
        before = digest
    return breaks


def _seconds(values: list[float], share: float) -> float | None:
    rank = percentile([value * 1000 for value in values], share)
    return None if rank is None else round(rank / 1000, 3)
