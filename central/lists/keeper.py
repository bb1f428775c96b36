"""Keeps the list: draws up the next when something changed, and says each minute that it holds.

One thread at a time. A version is first marked in the store, then its file is made, then its hash
is written down: a kill between any two steps leaves one that is made again, and until then the one
before stays in force. A store that cannot be read is no word that the list still holds: machines
then find it stale and send to the counter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
import structlog

from central.alert_work import sql_of
from central.audit import record
from central.lists.files import ListFiles
from central.lists.holds import HoldSource, LiveHold
from central.lists.staleness import atm_lists
from central.store import list_tables as t
from central.store import lists as stored
from central.store.interface import StoreUnavailableError
from central.store.lists import ListChange, ListEntry, ListVersion
from central.store.sql import SqlStore
from contract import Clock, seal
from contract.account_list import ListManifest, seal_manifest
from contract.clock import UnixMicros, machine_boot_id
from contract.envelope import NO_PREVIOUS
from contract.keys import CENTRAL, KeySigner
from contract.messages import ListNotice
from contract.topics import Channel, down
from contract.words import DeviceKind
from mqtt_bridge.ports import IntakePort

REFRESH_S = 60.0
"""``atm.list_refresh_s``: how often machines are told that their list still holds."""
MAX_NOTICE_DELTA_BYTES = 48 * 1024
"""A longer way is fetched: a message has 64 KiB at most, its envelope included."""
_NOTICE_PAUSE_S = 0.01
"""Between two machines: the order that changed the list is under way to the same ones, and holds
without it."""

IDLE_S = 1.0
ORDER = "order"
MAX_JUMP = 1_000_000
"""No machine's word lets the versions run out."""

log = structlog.get_logger("lists")


class ListKeeper:
    """See the module. :meth:`wake` may be called from any thread."""

    def __init__(
        self,
        store: SqlStore,
        intake: IntakePort | None,
        folder: Path,
        *,
        tenant: str,
        signer: KeySigner,
        clock: Clock,
        holds: HoldSource,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._store = store
        self._intake = intake
        self._tenant = tenant
        self._signer = signer
        self._clock = clock
        self._holds = holds
        self._refresh_us = round(refresh_s * 1e6)
        self._told_at = self._told_version = 0
        self._looked_at = -self._refresh_us
        self._work = threading.Condition()
        self._is_woken = self._is_stopping = False
        self.files = ListFiles(folder, store)

    # -- what others ask ---------------------------------------------------------------------------

    def manifest(self) -> bytes | None:
        """The list in force, signed now; None: there is none yet. Raises StoreUnavailableError."""
        with self._store.reading() as connection:
            stored.newest_version(connection)  # a central that cannot read confirms nothing
        newest = self.files.newest
        if newest is None:
            return None
        return self._signed(newest.manifest)

    def wake(self) -> None:
        """Look at once whether something changed."""
        with self._work:
            self._is_woken = True
            self._work.notify_all()

    # -- the thread --------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until :meth:`stop`."""
        while not self._is_stopping:
            try:
                self.step()
            except StoreUnavailableError as error:
                log.warning("lists_delayed", problem=error.problem)
            except OSError as error:
                log.warning("lists_delayed", problem=f"{type(error).__name__}: {error.strerror}")
            with self._work:
                if not (self._is_woken or self._is_stopping):
                    self._work.wait(IDLE_S)
                self._is_woken = False

    def stop(self) -> None:
        """Ask :meth:`run` to end."""
        with self._work:
            self._is_stopping = True
            self._work.notify_all()

    def step(self) -> bool:
        """Draw up the next list if something changed; tell the machines if it is due. True: a new
        list."""
        self._recover()
        is_new = self._draw_up()
        now = int(self._clock.mono())
        version = 0 if self.files.newest is None else self.files.newest.manifest.version
        is_due = version != self._told_version or now - self._told_at >= self._refresh_us
        if is_due and self._tell():
            self._told_at, self._told_version = now, version
        return is_new

    def _recover(self) -> None:
        """Take up what the store knows: at the start, and after a step that was cut off."""
        with self._store.reading() as connection:
            known = stored.versions(connection, 2)
        if not known:
            return
        newest, held = known[0], self.files.newest
        if newest.sha256 is None:
            if held is None and len(known) > 1 and known[1].sha256 is not None:
                self.files.open(known[1])
            self._finish(newest.version)
        elif held is None and not self.files.open(newest):
            log.warning("list_made_again", version=newest.version)
            manifest = self.files.make(newest.version, newest.made_at)
            if manifest.sha256 != newest.sha256:
                self._note_other_bytes(newest.version, manifest)

    def _note_other_bytes(self, version: int, manifest: ListManifest) -> None:
        """A list made again that came out otherwise must not bear the number of the former."""
        log.warning("list_came_out_otherwise", version=version)
        with self._store.transaction() as tx:
            again = stored.begin_version(sql_of(tx)._connection, "again", int(self._clock.wall()))
        self._finish(again)

    def _draw_up(self) -> bool:
        now = int(self._clock.wall())
        held = self._holds(now)
        with self._store.reading() as connection:
            waiting = stored.waiting_changes(connection)
            is_over = stored.has_over(connection, now)
            listed = stored.live_orders(connection)
            newest = stored.newest_version(connection)
        ahead = self._ahead(newest)
        is_first = newest is None or ahead > 0
        is_moved = {order_id.hex() for order_id in held} != listed.keys()
        if not (waiting or is_over or is_moved or is_first):
            return False
        why = "again" if ahead else "orders" if is_moved else "term" if is_over else "change"
        if waiting:
            why = {"rollback": "rollback", "key": "key", "key_off": "key"}.get(
                waiting[-1].kind, "change"
            )
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            version = stored.begin_version(connection, why, now, ahead)
            for change in waiting:
                self._put_in_force(connection, change, version, now)
                record(tx, now, CENTRAL, "list.change", str(change.id), detail={"version": version})
            stored.take_off(connection, version, t.list_entries.c.until_at <= now)
            self._follow_orders(connection, held, listed, version)
        self._finish(version)
        return True

    def _ahead(self, newest: ListVersion | None) -> int:
        """Greatest version at a machine, where that is above ours: the store is from a backup.

        Machines take no older version, so the next one has to be above theirs.
        """
        now = int(self._clock.mono())
        if newest is None or now - self._looked_at < self._refresh_us:
            return 0
        self._looked_at = now
        machines = atm_lists(self._store.devices(), newest, int(self._clock.wall()))
        most = max((machine.version or 0 for machine in machines), default=0)
        return most if newest.version < most < newest.version + MAX_JUMP else 0

    def _put_in_force(
        self, connection: sa.Connection, change: ListChange, version: int, now: int
    ) -> None:

        if change.kind in {"add", "key"}:
            stored.bring_in(connection, change.id, version)
        elif change.kind == "remove":
            stored.take_off(connection, version, stored.targets_of(change.id))
        elif change.kind == "key_off":
            e = t.list_entries.c
            is_file = e.source != ORDER
            stored.take_off(connection, version, sa.and_(is_file, e.key_number == change.back_to))
        elif change.kind == "rollback":
            assert change.back_to is not None
            stored.go_back(connection, change.back_to, version, now)
        stored.set_counts(connection, change.id, version=version)

    def _follow_orders(
        self,
        connection: sa.Connection,
        held: Mapping[bytes, LiveHold],
        listed: Mapping[str, int],
        version: int,
    ) -> None:

        live = {order_id.hex(): hold for order_id, hold in held.items()}
        gone = [listed[name] for name in listed.keys() - live.keys()]
        for at in range(0, len(gone), 500):
            stored.take_off(connection, version, t.list_entries.c.id.in_(gone[at : at + 500]))
        stored.add_entries(
            connection,
            (
                ListEntry(
                    account=live[name].account.hmac,
                    last4=live[name].account.last4,
                    listed_for=int(live[name].listed_for),
                    regime=int(live[name].regime),
                    until_at=live[name].until,
                    source=ORDER,
                    source_ref=name,
                    added_version=version,
                )
                for name in sorted(live.keys() - listed.keys())
            ),
        )

    def _finish(self, version: int) -> None:
        """Make the file of a version that is marked, and write its hash down."""
        manifest = self.files.make(version, int(self._clock.wall()))
        with self._store.transaction() as tx:
            stored.close_version(sql_of(tx)._connection, version, manifest.count, manifest.sha256)
        log.info("list_drawn_up", version=version, accounts=manifest.count)

    # -- telling -----------------------------------------------------------------------------------

    def _tell(self) -> bool:
        """Tell every machine which list holds; False where the broker is away."""
        newest, intake = self.files.newest, self._intake
        if newest is None or intake is None or not intake.is_connected:
            return False
        way = self.files.way(newest.manifest.version - 1)
        delta = b""
        if way is not None and way.stat().st_size <= MAX_NOTICE_DELTA_BYTES:
            delta = way.read_bytes()
        notice = ListNotice(manifest=self._signed(newest.manifest), delta=delta)
        raw = self._sealed(notice)
        for device in self._store.devices():
            if device.kind is not DeviceKind.ATM or device.revoked_at is not None:
                continue
            if not intake.publish(down(self._tenant, device.device, Channel.LISTS), raw):
                return False
            time.sleep(_NOTICE_PAUSE_S)
            if self._is_stopping:
                return False
        return True

    def _signed(self, manifest: ListManifest) -> bytes:
        now = ListManifest(
            version=manifest.version,
            count=manifest.count,
            sha256=manifest.sha256,
            made_at=UnixMicros(self._clock.wall()),
        )
        return seal_manifest(now, self._tenant, self._signer)

    def _sealed(self, notice: ListNotice) -> bytes:
        return seal(
            notice,
            tenant=self._tenant,
            device=CENTRAL,
            boot_id=machine_boot_id(),
            seq=0,
            wall=self._clock.wall(),
            mono=self._clock.mono(),
            quality=self._clock.quality(),
            prev=NO_PREVIOUS,
            signer=self._signer,
        )
