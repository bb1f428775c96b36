"""The withdrawal journal: one SQLite file; a step is on disk, synced, before its effects (W1).

A step, what it queues for the host, its suspense and the machine's going out of service are one
transaction. Every record carries the hash of the one before it; a broken chain stops the machine
(W7). Nothing secret is here (W8): the card is a keyed hash, its number sealed until the host knows.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atm_face.withdrawal import Effect, Event, Outcome, State, Step, Withdrawal
from hardware.atm.interface import Advice, AdviceKind, Movement, Trace

_SCHEMA = """
CREATE TABLE IF NOT EXISTS withdrawals (
  id TEXT PRIMARY KEY, stan TEXT NOT NULL, terminal TEXT NOT NULL, amount_fen INTEGER NOT NULL,
  local_time TEXT NOT NULL, card BLOB NOT NULL, sealed_pan BLOB, evidence TEXT NOT NULL,
  state TEXT NOT NULL, dispensed_fen INTEGER NOT NULL DEFAULT 0, outcome TEXT,
  movement TEXT NOT NULL DEFAULT 'cash', original TEXT, payee_last4 TEXT NOT NULL DEFAULT '',
  opened_us INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS open_withdrawals ON withdrawals (state) WHERE state != 'ended';
CREATE TABLE IF NOT EXISTS records (
  number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS advices (
  number INTEGER PRIMARY KEY AUTOINCREMENT, withdrawal TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  actual_fen INTEGER NOT NULL, queued_us INTEGER NOT NULL, due_us INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, answer TEXT
);
CREATE INDEX IF NOT EXISTS waiting_advices ON advices (number) WHERE answer IS NULL;
CREATE TABLE IF NOT EXISTS suspense (
  withdrawal TEXT PRIMARY KEY, least_fen INTEGER NOT NULL, most_fen INTEGER NOT NULL,
  why TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS service (
  one INTEGER PRIMARY KEY CHECK (one = 1), problem TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

_LATER_COLUMNS = {
    "movement": "TEXT NOT NULL DEFAULT 'cash'",
    "original": "TEXT",
    "payee_last4": "TEXT NOT NULL DEFAULT ''",
    "opened_us": "INTEGER NOT NULL DEFAULT 0",
}
"""What a journal from before transfers lacks."""
_ADVICE_OF = {
    Effect.QUEUE_REVERSAL: AdviceKind.REVERSAL,
    Effect.QUEUE_PARTIAL_REVERSAL: AdviceKind.PARTIAL_REVERSAL,
    Effect.QUEUE_CONFIRMATION: AdviceKind.CONFIRMATION,
}
_LAST_STAN = 999_999


class JournalError(Exception):
    """The journal cannot be written or is not whole: no new withdrawal, no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known when a withdrawal begins."""

    id: str
    terminal: str
    amount_fen: int
    local_time: str
    card: bytes
    """Keyed hash of the card number."""
    sealed_pan: bytes | None
    evidence: str
    """Names the face evidence kept on this device."""
    movement: Movement = Movement.CASH
    original: str = ""
    """Of a revocation: the id of the transfer here that it takes back."""
    payee_last4: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTransfer:
    """A transfer of this machine that the bank has taken and may still hold."""

    id: str
    amount_fen: int
    payee_last4: str
    ordered_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspense:
    """Cash out minus posted, as far as anybody knows."""

    withdrawal: str
    least_fen: int
    most_fen: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedAdvice:
    """An advice that waits, and how often it was sent."""

    number: int
    withdrawal: str
    kind: AdviceKind
    trace: Trace
    actual_fen: int
    sealed_pan: bytes | None
    queued_us: int
    due_us: int
    tries: int

    def to_send(self, pan: str) -> Advice:
        """Return the message for the host."""
        return Advice(
            number=self.number,
            kind=self.kind,
            trace=self.trace,
            actual_fen=self.actual_fen,
            is_repeat=self.tries > 0,
            pan=pan,
        )


class Journal:
    """Rows and transactions of one machine; one thread at a time."""

    def __init__(self, path: Path, *, on_commit: Callable[[str], None] = lambda when: None) -> None:
        """``on_commit`` is told "before" and "after" each commit; raises JournalError."""
        self._on_commit = on_commit
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)
            there = {row[1] for row in self._db.execute("PRAGMA table_info(withdrawals)")}
            for name, kind in _LATER_COLUMNS.items():
                if name not in there:
                    self._db.execute(f"ALTER TABLE withdrawals ADD COLUMN {name} {kind}")
            path.chmod(0o600)
            self._last = self._read_chain()
        except sqlite3.Error as error:
            raise JournalError(str(error)) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One commit, synced; a failed write is undone and becomes JournalError."""
        last = self._last
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._on_commit("before")
            self._db.execute("COMMIT")
        except BaseException as error:
            self._last = last
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error | OSError):
                raise JournalError(str(error)) from error
            raise
        self._on_commit("after")

    # -- the chain ---------------------------------------------------------------------------------

    def _read_chain(self) -> tuple[int, bytes]:
        """Check every record against its hash; returns the last. Raises JournalError."""
        number, last = 0, b"\0" * 32
        for found, body, digest in self._db.execute(
            "SELECT number, body, hash FROM records ORDER BY number"
        ):
            number += 1
            last = _chained(last, number, body)
            if found != number or digest != last:
                raise JournalError(f"the chain is broken at record {number}")
        return number, last

    def check(self) -> bool:
        """Whether the chain still ends where this process left it and the file can be written."""
        try:
            row = self._db.execute("SELECT max(number), hash FROM records").fetchone()
            with self._transaction():
                self._db.execute("INSERT OR REPLACE INTO counters VALUES ('checked', 1)")
        except (sqlite3.Error, JournalError):
            return False
        return bool(row == ((None, None) if self._last[0] == 0 else self._last))

    def _record(self, at_us: int, **facts: object) -> None:
        number = self._last[0] + 1
        body = json.dumps({"at_us": at_us, **facts}, sort_keys=True, ensure_ascii=False)
        digest = _chained(self._last[1], number, body)
        self._db.execute("INSERT INTO records VALUES (?, ?, ?)", (number, body, digest))
        self._last = (number, digest)

    # -- withdrawals -------------------------------------------------------------------------------

    def open(self, opening: Opening, at_us: int) -> Withdrawal:
        """Begin a withdrawal; its STAN was never given out before the counter's wrap."""
        with self._transaction():
            stan = self._next_stan()
            self._db.execute(
                "INSERT INTO withdrawals (id, stan, terminal, amount_fen, local_time, card,"
                " sealed_pan, evidence, state, movement, original, payee_last4, opened_us)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    opening.id,
                    stan,
                    opening.terminal,
                    opening.amount_fen,
                    opening.local_time,
                    opening.card,
                    opening.sealed_pan,
                    opening.evidence,
                    State.COLLECTING.value,
                    opening.movement.value,
                    opening.original or None,
                    opening.payee_last4,
                    at_us,
                ),
            )
            self._record(
                at_us,
                id=opening.id,
                opened=stan,
                amount_fen=opening.amount_fen,
                movement=opening.movement.value,
                original=opening.original,
            )
        return Withdrawal(
            id=opening.id,
            stan=stan,
            terminal=opening.terminal,
            amount_fen=opening.amount_fen,
            movement=opening.movement,
        )

    def take_stan(self) -> str:
        """Give out a STAN for a message that is no withdrawal; durable first."""
        with self._transaction():
            return self._next_stan()

    def _next_stan(self) -> str:
        row = self._db.execute("SELECT value FROM counters WHERE name = 'stan'").fetchone()
        number = 1 if row is None or row[0] >= _LAST_STAN else row[0] + 1
        self._db.execute("INSERT OR REPLACE INTO counters VALUES ('stan', ?)", (number,))
        return f"{number:06}"

    def write(self, step: Step, at_us: int) -> None:
        """Write a step with everything of it that stays inside; raises JournalError."""
        after = step.after
        with self._transaction():
            self._db.execute(
                "UPDATE withdrawals SET state = ?, dispensed_fen = ?, outcome = ? WHERE id = ?",
                (after.state.value, after.dispensed_fen, after.outcome, after.id),
            )
            for effect in step.row.effects:
                self._keep(effect, step, at_us)
            self._record(
                at_us,
                id=after.id,
                event=step.happened.event.value,
                state=after.state.value,
                outcome=after.outcome,
                effects=[effect.value for effect in step.row.effects],
                count_fen=step.happened.count_fen,
            )
            if after.state is State.ENDED:
                self._forget_pan(after.id)

    def _keep(self, effect: Effect, step: Step, at_us: int) -> None:
        after = step.after
        if (kind := _ADVICE_OF.get(effect)) is not None:
            actual = 0 if kind is AdviceKind.REVERSAL else after.dispensed_fen
            self._db.execute(
                "INSERT INTO advices (withdrawal, kind, actual_fen, queued_us, due_us)"
                " VALUES (?, ?, ?, ?, ?)",
                (after.id, kind.value, actual, at_us, at_us),
            )
        elif effect is Effect.OPEN_SUSPENSE:
            is_counted = Effect.OUT_OF_SERVICE not in step.row.effects
            most = -after.amount_fen if is_counted else 0
            self._db.execute(
                "INSERT INTO suspense VALUES (?, ?, ?, ?)",
                (after.id, -after.amount_fen, most, step.happened.event.value),
            )
        elif effect is Effect.OUT_OF_SERVICE:
            self._close_machine(f"{step.before.state.value}: {step.happened.event.value}")

    def note(self, withdrawal: str, event: Event, problem: str, at_us: int) -> None:
        """Record an event that has no row."""
        with self._transaction():
            self._record(at_us, id=withdrawal, event=event.value, problem=problem)

    def find(self, withdrawal: str) -> Withdrawal:
        """Return a withdrawal as it stands on disk."""
        return self._withdrawals("id = ?", withdrawal)[0]

    def unfinished(self) -> list[Withdrawal]:
        """Return what a power cut left open, oldest first."""
        return self._withdrawals("state != ?", State.ENDED.value)

    def all(self) -> list[Withdrawal]:
        """Return every withdrawal, oldest first."""
        return self._withdrawals("state != ?", "")

    def _withdrawals(self, condition: str, value: str) -> list[Withdrawal]:
        rows = self._db.execute(
            "SELECT id, stan, terminal, amount_fen, state, dispensed_fen, outcome,"  # noqa: S608
            " movement"
            f" FROM withdrawals WHERE {condition} ORDER BY rowid",
            (value,),
        )
        return [
            Withdrawal(
                id=row[0],
                stan=row[1],
                terminal=row[2],
                amount_fen=row[3],
                state=State(row[4]),
                dispensed_fen=row[5],
                outcome=None if row[6] is None else Outcome(row[6]),
                movement=Movement(row[7]),
            )
            for row in rows
        ]

    def trace(self, withdrawal: str) -> Trace:
        """Return what names a withdrawal towards the host."""
        stan, terminal, amount, local_time, movement, original = self._db.execute(
            "SELECT stan, terminal, amount_fen, local_time, movement, original"
            " FROM withdrawals WHERE id = ?",
            (withdrawal,),
        ).fetchone()
        return Trace(
            stan=stan,
            terminal=terminal,
            amount_fen=amount,
            local_time=local_time,
            movement=Movement(movement),
            original=None if original is None else self.trace(original),
        )

    def waiting_transfers(self, card: bytes, since_us: int) -> list[WaitingTransfer]:
        """Return a card's transfers since then that were not taken back here, oldest first."""
        rows = self._db.execute(
            "SELECT id, amount_fen, payee_last4, opened_us FROM withdrawals t WHERE card = ?"
            " AND outcome = ? AND opened_us > ? AND NOT EXISTS (SELECT 1 FROM withdrawals r"
            " WHERE r.original = t.id AND r.outcome IN (?, ?)) ORDER BY opened_us",
            (
                card,
                Outcome.TRANSFER_WAITS.value,
                since_us,
                Outcome.REVOKED.value,
                Outcome.REVERSED.value,
            ),
        )
        return [
            WaitingTransfer(id=r[0], amount_fen=r[1], payee_last4=r[2], ordered_us=r[3])
            for r in rows
        ]

    def suspense(self) -> list[Suspense]:
        """Return everything in suspense."""
        rows = self._db.execute("SELECT withdrawal, least_fen, most_fen, why FROM suspense")
        return [Suspense(withdrawal=r[0], least_fen=r[1], most_fen=r[2], why=r[3]) for r in rows]

    # -- the queue for the host --------------------------------------------------------------------

    def waiting(self) -> list[QueuedAdvice]:
        """Return the advices that were not answered, in the order in which they must go."""
        rows = self._db.execute(
            "SELECT a.number, a.withdrawal, a.kind, a.actual_fen, w.sealed_pan, a.queued_us,"
            " a.due_us, a.tries"
            " FROM advices a JOIN withdrawals w ON w.id = a.withdrawal"
            " WHERE a.answer IS NULL ORDER BY a.number"
        )
        return [
            QueuedAdvice(
                number=r[0],
                withdrawal=r[1],
                kind=AdviceKind(r[2]),
                trace=self.trace(r[1]),
                actual_fen=r[3],
                sealed_pan=r[4],
                queued_us=r[5],
                due_us=r[6],
                tries=r[7],
            )
            for r in rows.fetchall()
        ]

    def is_waiting_for(self, card: bytes) -> bool:
        """Whether an advice on this card was not answered yet (W5)."""
        row = self._db.execute(
            "SELECT 1 FROM advices a JOIN withdrawals w ON w.id = a.withdrawal"
            " WHERE a.answer IS NULL AND w.card = ?",
            (card,),
        ).fetchone()
        return row is not None

    def count_try(self, number: int, due_us: int, at_us: int) -> None:
        """Write down that an advice is about to be sent, and when it is due again."""
        with self._transaction():
            self._db.execute(
                "UPDATE advices SET tries = tries + 1, due_us = ? WHERE number = ?",
                (due_us, number),
            )
            self._record(at_us, advice=number, sent=True)

    def settle(self, number: int, code: str, at_us: int) -> None:
        """Close an advice with the host's answer; the card number is no longer needed."""
        with self._transaction():
            self._db.execute("UPDATE advices SET answer = ? WHERE number = ?", (code, number))
            self._record(at_us, advice=number, answer=code)
            row = self._db.execute(
                "SELECT withdrawal FROM advices WHERE number = ?", (number,)
            ).fetchone()
            self._forget_pan(row[0])

    def _forget_pan(self, withdrawal: str) -> None:
        self._db.execute(
            "UPDATE withdrawals SET sealed_pan = NULL WHERE id = ? AND state = 'ended' AND NOT"
            " EXISTS (SELECT 1 FROM advices WHERE withdrawal = id AND answer IS NULL)",
            (withdrawal,),
        )

    # -- service -----------------------------------------------------------------------------------

    def problem(self) -> str | None:
        """Why the machine is out of service; None if it is not."""
        row = self._db.execute("SELECT problem FROM service").fetchone()
        return None if row is None else str(row[0])

    def close_machine(self, problem: str, at_us: int) -> None:
        """Take the machine out of service durably."""
        with self._transaction():
            self._close_machine(problem)
            self._record(at_us, out_of_service=problem)

    def _close_machine(self, problem: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO service VALUES (1, ?)", (problem,))

    def open_machine(self, by: str, at_us: int) -> None:
        """A named person puts the machine back into service after a look at it."""
        with self._transaction():
            self._db.execute("DELETE FROM service")
            self._record(at_us, in_service_by=by)


def _chained(last: bytes, number: int, body: str) -> bytes:
    return hashlib.sha256(last + number.to_bytes(8, "big") + body.encode()).digest()
