"""What is sent next: live messages before the backlog, and lane before lane.

Live is what became durable after the connection came up (or after the central came back from a
silence); all before that is backlog and goes at the pace of :class:`Pacer`.
"""

from __future__ import annotations

from collections.abc import Iterator

from contract.topics import Lane
from mqtt_bridge.pacing import Pacer
from mqtt_bridge.ports import OutboxPort, OutboxRow
from mqtt_bridge.window import Window

BACKLOG_SHARE = 0.75
"""Part of the window that the backlog may fill: the rest is kept for what happens now."""

_READ = 128


class Feed:
    """Reads the outbox in the order of sending. One thread; nothing is read twice."""

    def __init__(self, outbox: OutboxPort, window: Window, pacer: Pacer) -> None:
        self._outbox = outbox
        self._window = window
        self._pacer = pacer
        self.limit: int | None = None
        """Rows on their way at most, below the window's own size, while a broker is in doubt."""
        self._held_back: dict[int, OutboxRow] = {}
        self.newest_seq = 0
        """Everything up to here has been looked at."""
        self._backlog_end = 0
        self._live_after: dict[Lane, int] = {}
        self._backlog_after: dict[Lane, int] = {}

    def restart(self) -> None:
        """Make all that waits now the backlog and begin with its oldest row."""
        self._backlog_end = self.newest_seq = self._outbox.top_seq()
        self._live_after = dict.fromkeys(Lane, self._backlog_end)
        self._backlog_after = dict.fromkeys(Lane, 0)
        self._pacer.reset()

    def rebase(self) -> None:
        """Make what was not sent yet the backlog: the central has been away for a while."""
        if not self._backlog_after:
            return
        self._backlog_end = self.newest_seq = self._outbox.top_seq()
        for lane in Lane:
            # A lane's own backlog is older than its live rows, so it is not begun again.
            if self._is_exhausted(lane):
                self._backlog_after[lane] = self._live_after[lane]
            self._live_after[lane] = self._backlog_end
        self._pacer.reset()

    def _is_exhausted(self, lane: Lane) -> bool:
        return not self._outbox.lane_rows(lane, self._backlog_after[lane], self._backlog_end, 1)

    def hold_back(self, row: OutboxRow) -> None:
        """Send others first: the broker hung up on this row."""
        self._held_back[row.seq] = row

    def let_go(self, seq: int) -> None:
        """A row is no longer held back."""
        self._held_back.pop(seq, None)

    def held_back(self) -> list[OutboxRow]:
        """Rows that are sent only alone."""
        return list(self._held_back.values())

    def is_backlog(self, seq: int) -> bool:
        """Whether a row waited before this connection, or through a silence."""
        return seq <= self._backlog_end

    @property
    def has_backlog(self) -> bool:
        """Whether something old has not been sent on this connection."""
        return any(after < self._backlog_end for after in self._backlog_after.values())

    def rows(self) -> Iterator[OutboxRow]:
        """Yield what may be sent now; the caller puts each into the window before the next."""
        self.newest_seq = max(self.newest_seq, self._outbox.top_seq())
        if any(seq in self._window for seq in self._held_back):
            return  # it is being tried alone
        for lane in Lane:
            yield from self._lane(lane, self._live_after, self.newest_seq, share=1.0)
        if not self.has_backlog:
            return
        for lane in Lane:
            yield from self._lane(lane, self._backlog_after, self._backlog_end, share=BACKLOG_SHARE)

    def _lane(
        self, lane: Lane, after: dict[Lane, int], end: int, *, share: float
    ) -> Iterator[OutboxRow]:
        is_backlog = after is self._backlog_after
        while after[lane] < end:
            limit = min(_READ, self._room(share))
            if is_backlog:  # what may not go yet is not read either
                limit = min(limit, self._pacer.available)
            if limit == 0:
                return
            rows = self._outbox.lane_rows(lane, after[lane], end, limit)
            for row in rows:
                if self._room(share) == 0:
                    return
                if row.seq not in self._window and row.seq not in self._held_back:
                    if is_backlog and not self._pacer.take():
                        return
                    yield row
                after[lane] = row.seq
            if len(rows) < limit:
                after[lane] = end

    def _room(self, share: float) -> int:
        if self.limit is not None:
            return max(0, self.limit - len(self._window))
        return self._window.room(share)
