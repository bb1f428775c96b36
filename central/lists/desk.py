"""Who puts what on the lists: one person proposes, another one approves, both by name.

Taking an account off goes the same way as putting it on, and as fast. What an order holds is not
this desk's: it ends by the order's own release.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, StaleError, UnknownError, check_note, sql_of
from central.audit import record
from central.clocks import Law, Subject, day_of, end_of_years, midnight
from central.lists.entries import Entry, ListWord, RefusedRow, read_entries
from central.lists.twins import SEAL_ID_BYTES, TenantKey, twins
from central.orders.platform import Sealed
from central.orders.sealed import Vault
from central.store import lists as stored
from central.store.lists import ListChange, ListEntry
from central.store.sql import SqlStore
from contract.account_list import ListedFor
from contract.accounts import CardRef
from contract.clock import Clock

SHOWN_REFUSALS = 200
ORDER = "order"
_MAX_ROWS = 10_000_000


class ListDesk:
    """Proposals and decisions. Thread-safe: all state is in the store."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        *,
        law: Law,
        vault: Callable[[], Vault],
        keys: Callable[[], Sequence[TenantKey]],
        area: str,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``keys``: what machines hold, the one in use first; ``on_change`` wakes the keeper."""
        self._store = store
        self._clock = clock
        self._law = law
        self._vault = vault
        self._keys = keys
        self._area = area
        self._on_change = on_change

    # -- proposing ---------------------------------------------------------------------------------

    def propose_file(self, actor: Actor, name: str, lines: Iterable[str], note: str) -> int:
        """Propose the rows of a CSV; what is refused stands beside them by its line.

        Raises RuleError where no row could be taken.
        """
        self._check(actor)
        now, keys = int(self._clock.wall()), self._keys()
        refused: list[RefusedRow] = []
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            change_id = stored.add_change(connection, self._change("add", name, note, actor, now))

            def taken() -> Iterable[ListEntry]:
                for row in read_entries(lines, self._law, now):
                    if isinstance(row, RefusedRow):
                        refused.append(row)
                    else:
                        for key in keys:
                            yield self._listed(connection, row, change_id, name, key)

            count = stored.add_entries(connection, taken()) // len(keys)
            if count == 0:
                first = refused[0] if refused else RefusedRow(0, "it is empty")
                raise RuleError(f"no row can be taken; line {first.line}: {first.reason}")
            shown = [[row.line, row.reason] for row in refused[:SHOWN_REFUSALS]]
            stored.set_counts(
                connection, change_id, taken=count, refused=len(refused), refusals=shown
            )
            detail = {"file": name[:200], "taken": count, "refused": len(refused)}
            record(tx, now, actor, "list.propose", str(change_id), detail=detail)
        return change_id

    def propose_removal(
        self, actor: Actor, number: str, words: Sequence[ListWord], note: str
    ) -> int:
        """Propose to take an account off for some reasons; raises RuleError, UnknownError."""
        self._check(actor)
        refs = self._refs(number)
        flags = {int(word.flag) for word in words}
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            found = [
                entry
                for entry in stored.entries_of(connection, [ref.hmac for ref in refs])
                if entry.listed_for in flags and entry.source != ORDER
            ]
            if not found:
                raise UnknownError("this account is not listed so, or only by an order")
            change = self._change(
                "remove", f"**** {refs[0].last4}", note, actor, now, taken=len(found)
            )
            change_id = stored.add_change(connection, change)
            stored.add_targets(connection, change_id, (entry.id for entry in found))
            detail = {"entries": [entry.id for entry in found]}
            record(tx, now, actor, "list.propose_removal", str(change_id), detail=detail)
        return change_id

    def propose_rollback(self, actor: Actor, version: int, note: str) -> int:
        """Propose that the list says again what an earlier version said; raises UnknownError."""
        self._check(actor)
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            newest = stored.newest_version(connection)
            if stored.has_key_change(connection, version):
                raise RuleError("the tenant's key was changed since: older rows are under it")
            if newest is None or not 0 < version < newest.version:
                raise UnknownError(f"there is no earlier version {version}")
            change = self._change("rollback", str(version), note, actor, now, back_to=version)
            change_id = stored.add_change(connection, change)
            detail = {"back_to": version, "newest": newest.version}
            record(tx, now, actor, "list.propose_rollback", str(change_id), detail=detail)
        return change_id

    # -- deciding ----------------------------------------------------------------------------------

    def decide(self, actor: Actor, change_id: int, *, is_approved: bool) -> None:
        """Approve or decline what somebody else proposed.

        Raises UnknownError, RuleError for one's own, StaleError where it was decided before.
        """
        self._check(actor)
        now = int(self._clock.wall())
        state = "approved" if is_approved else "declined"
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            change = stored.change(connection, change_id)
            if change is None:
                raise UnknownError(f"there is no proposal {change_id}")
            if change.state != "proposed":
                raise StaleError(
                    f"proposal {change_id}", version=0, state=change.state,
                    by=change.decided_by or "", action=change.state,
                )  # fmt: skip
            if change.proposed_by == actor.name:
                raise RuleError("two different people decide: somebody else has to approve this")
            if is_approved:
                self._add_twins(connection, change_id)
            stored.set_counts(
                connection, change_id, state=state, decided_by=actor.name, decided_at=now
            )
            record(tx, now, actor, f"list.{state}", str(change_id), detail={"kind": change.kind})
        self._on_change()

    def _add_twins(self, connection: sa.Connection, change_id: int) -> None:
        """A key may have come since the rows were proposed: they stand under that one too."""
        rows = [
            row
            for row in stored.entries_of_change(connection, change_id, limit=_MAX_ROWS)
            if row.change_id == change_id and row.sealed is not None
        ]
        present = {row.key_number for row in rows}
        for key in self._keys() if rows else ():
            if key.number not in present:
                some = [row for row in rows if row.key_number == rows[0].key_number]
                stored.add_entries(connection, twins(some, key, self._vault(), change_id))

    # -- looking -----------------------------------------------------------------------------------

    def find(self, actor: Actor, number: str) -> Sequence[ListEntry]:
        """Everything in the newest list about an account; audited, without its number."""
        self._check(actor)
        refs = self._refs(number)
        ref = refs[0]
        with self._store.transaction() as tx:
            every = stored.entries_of(sql_of(tx)._connection, [one.hmac for one in refs])
            found = list({(e.source_ref, e.listed_for): e for e in reversed(every)}.values())
            detail = {"last4": ref.last4, "found": len(found)}
            record(tx, int(self._clock.wall()), actor, "list.find", ref.last4, detail=detail)
        return found

    def _check(self, actor: Actor) -> None:
        if not actor.covers(self._area):
            raise NotCoveredError(f"the lists are those of {self._area}, which is none of yours")

    def _refs(self, number: str) -> list[CardRef]:
        plain = number.replace(" ", "").replace("-", "")
        try:
            return [key.ref(plain) for key in self._keys()]
        except ValueError as error:
            raise RuleError(str(error)) from None

    def _change(
        self, kind: str, name: str, note: str, actor: Actor, now: int, *,
        taken: int = 0, back_to: int | None = None,
    ) -> ListChange:  # fmt: skip
        return ListChange(
            kind=kind,
            state="proposed",
            name=name[:200],
            note=check_note(note),
            taken=taken,
            back_to=back_to,
            proposed_by=actor.name,
            proposed_at=now,
        )

    def _listed(
        self, connection: sa.Connection, row: Entry, change_id: int, name: str, key: TenantKey
    ) -> ListEntry:
        ref, seal_id = key.ref(row.number), secrets.token_bytes(SEAL_ID_BYTES)
        sealed = Sealed(number=row.number, name="", payer_number="", payer_name="")
        return ListEntry(
            account=ref.hmac,
            last4=ref.last4,
            listed_for=int(row.word.flag),
            regime=int(row.regime),
            from_at=row.from_at,
            until_at=self._capped(connection, row, ref),
            source="file",
            source_ref=f"{name[:160]}:{row.line}",
            note=row.note,
            change_id=change_id,
            seal_id=seal_id,
            sealed=self._vault().seal(seal_id, sealed),
            key_number=key.number,
        )

    def _capped(self, connection: sa.Connection, row: Entry, ref: CardRef) -> int | None:
        """End of a row: who is sanctioned again is so no longer than the law's longest in all."""
        longest = self._longest_years(row)
        if longest is None or row.from_at is None or row.until_at is None:
            return row.until_at
        first = stored.first_sanction(connection, ref.hmac, int(row.regime))
        if first is None or first >= row.from_at:
            return row.until_at
        return min(row.until_at, midnight(end_of_years(day_of(first), longest)))

    def _longest_years(self, row: Entry) -> int | None:
        if row.word is not ListWord.SANCTION or row.from_at is None:
            return None
        values = self._law.row(Subject.SANCTION, day_of(row.from_at)).values
        found = values.get("max_continuous_years")
        return None if found is None else int(found)


def words_of(listed_for: int) -> list[str]:
    """Names of the reasons in a set of bits, for pages."""
    return [flag.name.lower() for flag in ListedFor if flag & listed_for and flag.name]
