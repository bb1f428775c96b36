"""The day's visits, sealed on the machine, for a signed case order that links visits of one face.

Who may ask: nobody without an order of the type ``cross_atm_link``, signed by two officers and in
force, whose bytes are verified here each time. What leaves: the templates of visits with the cards
the order names, sealed to one other ATM's key and bound to that order; there they are compared and
dropped. What is stored: vectors sealed under a key of their hour, which is erased with the term.
"""

from __future__ import annotations

import secrets
import sqlite3
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atm_face.engines.interface import FaceEngine, Template, TemplateMismatchError
from atm_face.templates import KEY_BYTES, StoreError
from atm_face.visit_parcels import (
    MAX_FACES,
    LinkError,
    ParcelError,
    bound_to,
    open_parcel,
    packed,
    seal_parcel,
    unpacked,
)
from contract.cosign import FindOrderKey, OrderError, open_order
from contract.orders import CrossAtmLink
from contract.words import DeviceKind, OrderType

HOUR_US = 3600 * 1_000_000
VISITS_MAX = 10_000
_HEAD = struct.Struct(">q32s")
_ONE = struct.pack(">H", 1)
"""Count before the vector of one visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long visits are kept from a day on, and on what basis; a dated row, not a constant."""

    in_force_from: date
    hours: int
    basis: str

    def __post_init__(self) -> None:
        if not 0 <= self.hours <= 72:
            raise ValueError(f"visits are kept for 0 to 72 hours, not {self.hours}")
        if not self.basis.strip():
            raise ValueError("a retention names its legal basis")


DEFAULT_RETENTION = (
    Retention(
        in_force_from=date(2022, 12, 1),
        hours=24,
        basis="Anti-Telecom and Online Fraud Law, in force 2022-12-01; confirm with counsel",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcels:
    """The same visits sealed to each of several machines; none, where no further visit is there."""

    raw: Mapping[str, bytes]
    faces: int
    up_to: int
    """Number of the last visit that was looked at."""

    @property
    def is_last(self) -> bool:
        """Whether no visit is left that could go now."""
        return self.faces < MAX_FACES


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeVisit:
    """One visit of this machine that is like a parcel's face. Holds no template."""

    visit: int
    captured_us: int
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one parcel gave: how many faces were compared with how many, and who is alike."""

    faces: int
    compared: int
    alike: tuple[AlikeVisit, ...]


class _Row(NamedTuple):
    number: int
    key: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Visit:
    number: int
    captured_us: int
    card: bytes
    vector: tuple[float, ...]


class DayVisits:
    """Sealed visits of one machine in one SQLite file of mode 0600; for any thread."""

    def __init__(
        self,
        path: Path,
        device_key: bytes,
        engine: FaceEngine,
        *,
        device: str,
        tenant: str,
        find_key: FindOrderKey,
        retention: Sequence[Retention] = DEFAULT_RETENTION,
    ) -> None:
        """Open or make the store; ``find_key`` looks officers' keys up. Raises StoreError."""
        self._key, self._engine = device_key, engine
        self._lock = threading.RLock()
        self._device, self._tenant, self._find_key = device, tenant, find_key
        self._retention = sorted(retention, key=lambda row: row.in_force_from)
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.executescript(
                "CREATE TABLE IF NOT EXISTS hour (hour INTEGER PRIMARY KEY, salt BLOB) STRICT;"
                "CREATE TABLE IF NOT EXISTS visit (number INTEGER PRIMARY KEY AUTOINCREMENT,"
                " hour INTEGER NOT NULL, model BLOB NOT NULL, sealed BLOB NOT NULL) STRICT;"
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path.name}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, template: Template, card: bytes, now_us: int) -> int:
        """Seal one visit; returns its number. Visits past their term are erased first."""
        hour, nonce = now_us // HOUR_US, secrets.token_bytes(12)
        plain = _HEAD.pack(now_us, card) + packed(template.vector)
        with self._lock:
            self.forget(now_us)
            self._db.execute(
                "INSERT OR IGNORE INTO hour VALUES (?, ?)", (hour, secrets.token_bytes(KEY_BYTES))
            )
            key = AESGCM(self._hour_key(hour))
            cursor = self._db.execute(
                "INSERT INTO visit (hour, model, sealed) VALUES (?, ?, ?)",
                (
                    hour,
                    template.model_sha256,
                    nonce + key.encrypt(nonce, plain, template.model_sha256),
                ),
            )
            return int(cursor.lastrowid or 0)

    def forget(self, now_us: int) -> int:
        """Erase hours past the term in force, keys first, and what exceeds 10,000 visits."""
        before = (now_us - self._hours(now_us) * HOUR_US) // HOUR_US
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            # An hour goes as a whole, once its first minute is past its term. A clock set back
            # leaves hours of the future: they can never be due again, so they go too.
            ends = (before, now_us // HOUR_US)
            self._db.execute("DELETE FROM hour WHERE hour <= ? OR hour > ?", ends)
            return self._db.execute(
                "DELETE FROM visit WHERE hour NOT IN (SELECT hour FROM hour) OR number <="
                " (SELECT max(number) FROM visit) - ?",
                (VISITS_MAX,),
            ).rowcount

    def last_number(self) -> int:
        """Number of the newest visit that ever was in this file; 0: none was."""
        with self._lock:
            row = self._db.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'visit'"
            ).fetchone()
        return 0 if row is None else int(row[0])

    def count(self) -> int:
        """Visits kept now."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM visit").fetchone()[0])

    def parcels(
        self, raw_order: bytes, to: Sequence[str], *, now_us: int, after: int = 0
    ) -> Parcels:
        """Templates of the next visits whose cards the order names, sealed to machines it names.

        ``after``: number of the visit up to which those machines have been served. The order is
        verified anew, and its bytes name the machines' keys. Raises LinkError.
        """
        link, digest = self._allowed(raw_order, now_us)
        keys = {name: link.key_of(name) for name in to if name != self._device}
        if len(keys) < len(to) or None in keys.values():
            raise LinkError(f"the order of case {link.case} sends nothing to {', '.join(to)}")
        cards = {account.hmac for account in link.accounts}
        rows = self._rows(now_us, after)
        up_to = rows[-1].number if rows else after
        found: list[_Visit] = []
        for visit in self._opened(rows):
            if visit.card in cards:
                found.append(visit)
            if len(found) == MAX_FACES:
                up_to = visit.number
                break
        vectors = [visit.vector for visit in found]
        return Parcels(
            raw={
                name: seal_parcel(vectors, key, bound_to(digest, self._engine, self._device, name))
                for name, key in keys.items()
                if vectors and key is not None
            },
            faces=len(found),
            up_to=up_to,
        )

    def compare(
        self, raw_order: bytes, parcel: bytes, own: X25519PrivateKey, *, sender: str, now_us: int
    ) -> Comparison:
        """Visits here that are like a parcel's faces; what came is dropped with this call.

        Raises ParcelError for a parcel that does not open, LinkError where the order allows
        nothing (any more).
        """
        link, digest = self._allowed(raw_order, now_us)
        if link.key_of(self._device) is None:
            raise LinkError(f"the order of case {link.case} lets others compare")
        bound = bound_to(digest, self._engine, sender, self._device)
        probes = open_parcel(parcel, own, bound, self._engine)
        found, compared = [], 0
        for visit in self._opened(self._rows(now_us)):
            compared += 1
            reference = self._template(visit.vector)
            try:
                likeness = max(self._engine.compare(reference, probe) for probe in probes)
            except TemplateMismatchError as error:
                raise ParcelError("the parcel's faces are of another length") from error
            if likeness >= self._engine.default_threshold:
                found.append(
                    AlikeVisit(
                        visit=visit.number,
                        captured_us=visit.captured_us,
                        similarity=likeness,
                    )
                )
        return Comparison(faces=len(probes), compared=compared, alike=tuple(found))

    def _allowed(self, raw: bytes, now_us: int) -> tuple[CrossAtmLink, bytes]:
        """The order's body and digest, if it is signed, in force, and for this ATM."""
        try:
            signed = open_order(raw, tenant=self._tenant, find_key=self._find_key)
        except OrderError as error:
            raise LinkError(f"the order does not hold: {error}") from error
        order, body = signed.order, signed.body
        if order.type is not OrderType.CROSS_ATM_LINK or not isinstance(body, CrossAtmLink):
            raise LinkError(f"an order of type {order.type.value} links nothing")
        if not order.is_for(self._device, DeviceKind.ATM):
            raise LinkError("the order is for other machines")
        if not order.not_before <= now_us < body.until:
            raise LinkError(f"the order of case {body.case} is not in force now")
        return body, signed.digest

    def _rows(self, now_us: int, after: int = 0) -> list[_Row]:
        """What is kept, with the keys of its hours; opened without the lock, for nobody to wait."""
        with self._lock:
            self.forget(now_us)
            found = self._db.execute(
                "SELECT number, hour, sealed FROM visit WHERE model = ? AND number > ?"
                " ORDER BY number",
                (self._engine.model_sha256, after),
            ).fetchall()
            keys = {hour: self._hour_key(hour) for hour in {hour for _, hour, _ in found}}
        return [_Row(number, keys[hour], sealed) for number, hour, sealed in found]

    def _opened(self, rows: Sequence[_Row]) -> Iterator[_Visit]:
        for row in rows:
            try:
                plain = AESGCM(row.key).decrypt(
                    row.sealed[:12], row.sealed[12:], self._engine.model_sha256
                )
            except InvalidTag:
                continue  # a damaged row shows nobody
            captured_us, card = _HEAD.unpack_from(plain)
            (vector,) = unpacked(_ONE + plain[_HEAD.size :])
            yield _Visit(row.number, captured_us, card, vector)

    def _template(self, vector: tuple[float, ...]) -> Template:
        engine = self._engine
        return Template(engine=engine.name, model_sha256=engine.model_sha256, vector=vector)

    def _hour_key(self, hour: int) -> bytes:
        row = self._db.execute("SELECT salt FROM hour WHERE hour = ?", (hour,)).fetchone()
        if row is None:
            raise StoreError("the key of this hour was erased")
        info = b"qianshao/day-visits/1"
        return HKDF(SHA256(), KEY_BYTES, salt=row[0], info=info).derive(self._key)

    def _hours(self, now_us: int) -> int:
        """Hours of the retention in force; before any is, nothing is kept."""
        today = date.fromordinal(date(1970, 1, 1).toordinal() + now_us // (24 * HOUR_US))
        rows = [row for row in self._retention if row.in_force_from <= today]
        return rows[-1].hours if rows else 0
