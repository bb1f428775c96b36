"""The tenant's keys at one ATM: accounts are spoken of under one and known under all.

While the central goes over to another key, both lie here side by side. A bundle comes sealed to
this machine's own key, at enrolment or by an order; an older one never replaces a newer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import structlog

from contract.accounts import CardRef, card_ref
from contract.files import replace_durably
from contract.keyfiles import KeyFileError, check_private, read_file
from contract.tenant_keys import KeyBundle, KeyBundleError, box_key, open_bundle
from edge_agent.identity import read_tenant_key

RING_SUFFIX = ".ring"
BOX_FILE = "box.key"
_REMEMBERED = 64
"""Cards of the latest visits, in memory alone and never by their numbers."""

log = structlog.get_logger("keys")


class KeyRing:
    """The keys of one machine. May be called from any thread."""

    def __init__(self, key_file: Path) -> None:
        """Read the ring beside the key file, else the one key; raises IdentityError."""
        self._path = ring_file(key_file)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[CardRef, ...]] = OrderedDict()
        found = read_ring(key_file)
        if found is None:
            found = KeyBundle(bundle=1, primary=1, keys={1: read_tenant_key(key_file)})
        self._bundle = found

    @property
    def bundle(self) -> int:
        """Version of the keys here."""
        return self._bundle.bundle

    def ref(self, pan: str) -> CardRef:
        """Return a card as messages name it now; raises ValueError, which quotes nothing."""
        refs = self.all_refs(pan)
        with self._lock:
            self._known[refs[0].hmac] = refs
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return refs[0]

    def all_refs(self, pan: str) -> tuple[CardRef, ...]:
        """A card under each key, the one in use first."""
        bundle = self._bundle
        others = sorted(bundle.keys.keys() - {bundle.primary})
        return tuple(card_ref(pan, bundle.keys[n]) for n in (bundle.primary, *others))

    def refs(self, card: CardRef) -> tuple[CardRef, ...]:
        """Everything that a card of the latest visits is known by."""
        with self._lock:
            return self._known.get(card.hmac, (card,))

    def take(self, bundle: KeyBundle) -> bool:
        """Put newer keys in use, durably; False if these are the ones here or older.

        Raises OSError, and then the former ones stay.
        """
        with self._lock:
            if bundle.bundle <= self._bundle.bundle and self._path.exists():
                return False
            replace_durably(self._path, bundle.to_bytes())
            self._bundle = bundle
            self._known.clear()
        log.info("tenant_keys_taken", bundle=bundle.bundle, keys=len(bundle.keys))
        return True


def ring_file(key_file: Path) -> Path:
    """Where the ring lies that goes with a key file."""
    return key_file.with_name(key_file.name + RING_SUFFIX)


def read_ring(key_file: Path) -> KeyBundle | None:
    """Read the ring; None if there is none. Raises IdentityError."""
    path = ring_file(key_file)
    if not path.exists():
        return None
    check_private(path)
    try:
        return KeyBundle.from_bytes(read_file(path))
    except KeyBundleError as error:
        raise KeyFileError(path, str(error)) from None


def take_sealed(sealed: bytes, key_file: Path, state_dir: Path, tenant: str, device: str) -> None:
    """Take the keys that came with a certificate; raises KeyBundleError, KeyFileError, OSError.

    Where the configuration's key file is missing, it is made.
    """
    bundle = open_bundle(sealed, box_key(state_dir / BOX_FILE), tenant, device)
    known = read_ring(key_file)
    if known is None or known.bundle < bundle.bundle:
        key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_durably(ring_file(key_file), bundle.to_bytes())
    if not key_file.exists():
        replace_durably(key_file, bundle.keys[bundle.primary])
