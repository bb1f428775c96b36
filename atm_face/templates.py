"""Reference templates: the seam, and the ATM's own store of sealed ones.

Each template is sealed with AES-256-GCM under a key of its card alone (HKDF-SHA-256 from the
device's key and a random salt), bound to card, engine, weights and format. What this does not
protect: whoever has the device's key and the file reads everything; in memory a reference is a
vector, rotated but comparable; a copy of the file from before an erasure holds what was erased.
"""

from __future__ import annotations

import secrets
import sqlite3
import struct
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atm_face.engines.interface import EngineError, FaceEngine, Template
from atm_face.rotation import Rotation, rotated_dimensions

FORMAT = 1
KEY_BYTES = 32
CARD_BYTES = 32
FILING_LIMIT = 100_000
"""Measures for the security management of face recognition (CAC and MPS, in force 2025-06-01): who
stores 100,000 faces files within 30 working days."""
FILING_WORKING_DAYS = 30


class TemplateError(EngineError):
    """A reference cannot be had; each cause is a type of its own."""


class NotEnrolledError(TemplateError):
    """No face is stored for this card."""


class NoConsentError(TemplateError):
    """No separate consent is on record, or it was withdrawn: the face decides nothing."""


class ReEnrolError(TemplateError):
    """The stored template is of another engine, other weights or an older format."""


class SealError(TemplateError):
    """The seal does not open: another card's or another device's template, or a damaged one."""


class StoreError(TemplateError):
    """The store itself cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A separate consent (PIPL article 29) to one purpose."""

    purpose: str
    given_on: date
    withdrawn_on: date | None = None

    def __post_init__(self) -> None:
        if not self.purpose.strip() or len(self.purpose) > 200:
            raise ValueError("a consent names its purpose, in at most 200 characters")
        if self.withdrawn_on is not None and self.withdrawn_on < self.given_on:
            raise ValueError("a consent is withdrawn after it was given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The enrolled template of one card, turned by its rotation."""

    template: Template
    consent: Consent
    rotation: Rotation = field(repr=False)

    def similarity(self, engine: FaceEngine, probe: Template) -> float:
        """Compare a fresh template with it; the engine's own number, unchanged by the rotation."""
        return engine.compare(self.template, self.rotation.turn(probe))

    def plain(self) -> Template:
        """The reference as the engine knows it, for the seconds of one visit."""
        return self.rotation.back(self.template)


class TemplateSource(Protocol):
    """Where a card's reference comes from: this machine, or the bank."""

    def fetch(self, card: bytes, engine: FaceEngine) -> Reference:
        """Reference for the card's HMAC; raises one of the errors above."""


@dataclass(frozen=True, slots=True)
class FilingDuty:
    """How many faces are stored, and whether that must be filed."""

    stored: int
    limit: int = FILING_LIMIT
    working_days: int = FILING_WORKING_DAYS

    @property
    def is_due(self) -> bool:
        """Whether the limit is reached."""
        return self.stored >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a store holds, as an engine would find it."""

    usable: int
    re_enrol: tuple[bytes, ...]
    """Cards whose template is of another engine, other weights or an older format."""
    unopened: tuple[bytes, ...]
    """Cards whose seal this device's key does not open."""
    withdrawn: int
    filing: FilingDuty


_SCHEMA = """
CREATE TABLE IF NOT EXISTS template (
  card BLOB PRIMARY KEY CHECK (length(card) = 32),
  engine TEXT, model BLOB, format INTEGER, salt BLOB, sealed BLOB,
  purpose TEXT NOT NULL, given_on TEXT NOT NULL, withdrawn_on TEXT
) STRICT;
"""


class TemplateStore:
    """The ATM's own templates in one SQLite file of mode 0600."""

    def __init__(self, path: Path, device_key: bytes) -> None:
        """Open or make the store; raises StoreError. ``device_key`` has 32 bytes."""
        if len(device_key) != KEY_BYTES:
            raise StoreError(f"the device's template key has {len(device_key)} bytes, not 32")
        self._key = device_key
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            # An erased row is overwritten with zeros, and the journal holds no copy of it.
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path.name}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def enrol(self, card: bytes, template: Template, consent: Consent) -> None:
        """Store or replace a card's template under a fresh salt; NoConsentError if withdrawn."""
        if consent.withdrawn_on is not None:
            raise NoConsentError("the consent was withdrawn")
        if len(card) != CARD_BYTES:
            raise StoreError(f"a card is known by {CARD_BYTES} bytes, not {len(card)}")
        salt = secrets.token_bytes(KEY_BYTES)
        keys = self._keys(card, salt)
        rotation = Rotation(keys[1], rotated_dimensions(template.engine, len(template.vector)))
        vector = rotation.turn(template).vector
        nonce = secrets.token_bytes(12)
        bound = bound_to(card, template.engine, template.model_sha256)
        sealed = AESGCM(keys[0]).encrypt(nonce, struct.pack(f">{len(vector)}d", *vector), bound)
        row = (card, template.engine, template.model_sha256, FORMAT, salt, nonce + sealed)
        dates = (consent.purpose, consent.given_on.isoformat(), None)
        self._db.execute(
            "INSERT OR REPLACE INTO template VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *dates)
        )

    def fetch(self, card: bytes, engine: FaceEngine) -> Reference:
        """Open a card's reference for this engine; raises one of five errors."""
        row = self._db.execute(
            "SELECT engine, model, format, salt, sealed, purpose, given_on, withdrawn_on"
            " FROM template WHERE card = ?",
            (card,),
        ).fetchone()
        if row is None:
            raise NotEnrolledError("no face is stored for this card")
        name, model, version, salt, sealed, purpose, given_on, withdrawn_on = row
        if withdrawn_on is not None:
            raise NoConsentError(f"the consent was withdrawn on {withdrawn_on}")
        if (name, model, version) != (engine.name, engine.model_sha256, FORMAT):
            raise ReEnrolError(f"the stored template is of {name}, not of this {engine.name}")
        keys = self._keys(card, salt)
        try:
            plain = AESGCM(keys[0]).decrypt(sealed[:12], sealed[12:], bound_to(card, name, model))
        except (InvalidTag, ValueError) as error:
            raise SealError("the template is of another card or device, or damaged") from error
        vector = struct.unpack(f">{len(plain) // 8}d", plain)
        return Reference(
            template=Template(engine=name, model_sha256=model, vector=vector),
            consent=Consent(purpose=purpose, given_on=date.fromisoformat(given_on)),
            rotation=Rotation(keys[1], rotated_dimensions(name, len(vector))),
        )

    def cards(self) -> frozenset[bytes]:
        """Cards with a face stored now."""
        query = "SELECT card FROM template WHERE sealed IS NOT NULL"
        return frozenset(card for (card,) in self._db.execute(query))

    def withdraw(self, card: bytes, on: date) -> None:
        """Erase salt and template and keep the date of the withdrawal; NotEnrolledError."""
        changed = self._db.execute(
            "UPDATE template SET salt = NULL, sealed = NULL, withdrawn_on = ? WHERE card = ?",
            (on.isoformat(), card),
        ).rowcount
        if not changed:
            raise NotEnrolledError("no face is stored for this card")

    def inventory(self, engine: FaceEngine) -> Inventory:
        """Try every template under this engine and this key; 50 microseconds each."""
        usable, re_enrol, unopened = 0, [], []
        for card in sorted(self.cards()):
            try:
                self.fetch(card, engine)
            except ReEnrolError:
                re_enrol.append(card)
            except SealError:
                unopened.append(card)
            else:
                usable += 1
        query = "SELECT count(*) FROM template WHERE withdrawn_on IS NOT NULL"
        return Inventory(
            usable=usable,
            re_enrol=tuple(re_enrol),
            unopened=tuple(unopened),
            withdrawn=int(self._db.execute(query).fetchone()[0]),
            filing=self.filing(),
        )

    def filing(self) -> FilingDuty:
        """How many faces are stored now."""
        query = "SELECT count(*) FROM template WHERE sealed IS NOT NULL"
        return FilingDuty(int(self._db.execute(query).fetchone()[0]))

    def _keys(self, card: bytes, salt: bytes) -> tuple[bytes, bytes]:
        """(sealing key, rotation key) of one card."""
        info = b"qianshao/template/1\0" + card
        both = HKDF(SHA256(), 2 * KEY_BYTES, salt=salt, info=info).derive(self._key)
        return both[:KEY_BYTES], both[KEY_BYTES:]


def bound_to(card: bytes, engine: str, model_sha256: bytes) -> bytes:
    """Additional data of the seal: a template moved to another card or engine does not open."""
    name = engine.encode()
    return b"".join((struct.pack(">BH", FORMAT, len(name)), name, model_sha256, card))
