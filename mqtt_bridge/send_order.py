"""Which row of the outbox goes next: what is said now before what has waited, neither starving."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

from mqtt_bridge.pacing import Pacer
from mqtt_bridge.ports import OutboxPort, OutboxRow
from mqtt_bridge.window import Window

CHUNK = 128
"""Rows that are read from the outbox at once."""

MAX_LAG = 1000
"""Live rows that may wait before they count as backlog and newer ones go first."""

SHARE = 0.75
"""Part of the window that either kind may fill while there is a backlog."""


@dataclass(slots=True)
class _Reader:
    """Reads rows of a stretch of the outbox in order, some at a time."""

    outbox: OutboxPort
    after_seq: int = 0
    up_to: int | None = None
    rows: collections.deque[OutboxRow] = field(default_factory=collections.deque)

    def peek(self) -> OutboxRow | None:
        if not self.rows and (self.up_to is None or self.after_seq < self.up_to):
            found = self.outbox.unreceipted(self.after_seq, CHUNK)
            self.rows.extend(row for row in found if self.up_to is None or row.seq <= self.up_to)
            if not self.rows and self.up_to is not None:
                self.after_seq = self.up_to
        return self.rows[0] if self.rows else None

    def drop(self) -> None:
        self.after_seq = self.rows.popleft().seq

    def keep_only(self, held: set[int]) -> None:
        if self.rows:
            last = self.rows[-1].seq
            self.rows = collections.deque(row for row in self.rows if row.seq in held)
            if not self.rows:
                self.after_seq = last


class SendOrder:
    """Chooses rows that are not yet on their way, as far as window and pace allow.

    What waited when the connection came up is the backlog: it goes oldest first, paced. What is
    put afterwards is live and goes at once. Live rows that cannot keep up become backlog.
    """

    def __init__(self, outbox: OutboxPort, window: Window, pacer: Pacer) -> None:
        self._outbox = outbox
        self._window = window
        self._pacer = pacer
        self._backlog = _Reader(outbox, up_to=0)
        self._live = _Reader(outbox)

    def reset(self) -> None:
        """A new connection: everything that waits now is backlog."""
        top = self._outbox.top_seq()
        self._backlog = _Reader(self._outbox, up_to=top)
        self._live = _Reader(self._outbox, after_seq=top)
        self._pacer.reset()

    @property
    def live_after(self) -> int:
        """Rows with a higher seq are news to this order."""
        return self._live.after_seq

    def next(self) -> OutboxRow | None:
        """The row to send now, None if none may go; :meth:`sent` takes it off."""
        self._bound_lag()
        live, backlog = self._peek(self._live), self._peek(self._backlog)
        share = 1.0 if backlog is None else SHARE
        if live is not None and self._window.has_room(live, share=share):
            return live
        if backlog is None or not self._has_room(backlog):
            return None
        return backlog if self._pacer.take() else None

    def after_receipt(self) -> None:
        """Let go of what a receipt has covered; the window's room and the pace follow."""
        waiting = [row.seq for reader in (self._live, self._backlog) for row in reader.rows]
        held = self._outbox.held([*self._window.seqs, *waiting])
        for reader in (self._live, self._backlog):
            reader.keep_only(held)
        self._pacer.heard(self._window.keep_only(held))

    def is_backlog(self, row: OutboxRow) -> bool:
        """Whether a row counts as backlog in the window."""
        return self._backlog.up_to is not None and row.seq <= self._backlog.up_to

    def _has_room(self, backlog: OutboxRow) -> bool:
        return self._window.has_room(backlog, share=SHARE, is_backlog=True)

    def sent(self, row: OutboxRow) -> None:
        """A row was handed to the broker."""
        for reader in (self._live, self._backlog):
            if reader.rows and reader.rows[0].seq == row.seq:
                reader.drop()

    def wait_s(self) -> float | None:
        """Seconds until a row of the backlog may go; None if none waits or the window is full."""
        row = self._peek(self._backlog)
        if row is None or not self._has_room(row):
            return None
        return self._pacer.wait_s()

    def _peek(self, reader: _Reader) -> OutboxRow | None:
        """First row of a reader that is not on its way already."""
        while (row := reader.peek()) is not None and row.seq in self._window:
            reader.drop()
        return row

    def _bound_lag(self) -> None:
        top = self._outbox.top_seq()
        if top - self._live.after_seq > MAX_LAG:
            self._backlog.up_to = top
            self._live = _Reader(self._outbox, after_seq=top)
