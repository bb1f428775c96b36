"""The tenant's keys under which accounts are known: secrets in files, numbers everywhere else."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

from central.clocks import load_law
from central.config import CentralSettings
from central.lists.desk import ListDesk
from central.lists.key_steps import state_of
from central.lists.twins import TenantKey
from central.orders.sealed import Vault
from central.store.sql import SqlStore
from contract.accounts import MIN_KEY_BYTES
from contract.clock import Clock
from contract.files import create_durably
from contract.keyfiles import KeyFileError, check_private, read_file

KEY_BYTES = 32
_NAME = re.compile(r"([1-9][0-9]{0,8})\.key")


class TenantKeys:
    """One folder of keys, each in a file of mode 0600 that bears its number."""

    def __init__(self, folder: Path, first: Path | None = None) -> None:
        """Take the first key from the file ``first`` where there is one, else make it.

        Raises OSError, KeyFileError.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.numbers():
            if first is not None and first.exists():
                check_private(first)
                create_durably(self._path(1), read_file(first))
            else:
                self.make(1)
        self.key(self.numbers()[-1])

    def numbers(self) -> list[int]:
        """Numbers of the keys that are here."""
        found = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted(int(name[1]) for name in found if name)

    def make(self, number: int) -> TenantKey:
        """Make the key of a number that has none yet."""
        create_durably(self._path(number), os.urandom(KEY_BYTES))
        return self.key(number)

    def key(self, number: int) -> TenantKey:
        """Read one key; raises KeyFileError."""
        path = self._path(number)
        check_private(path)
        secret = read_file(path)
        if len(secret) < MIN_KEY_BYTES:
            raise KeyFileError(
                path, f"has {len(secret)} bytes, at least {MIN_KEY_BYTES} are needed"
            )
        return TenantKey(number=number, secret=secret)

    @property
    def newest(self) -> TenantKey:
        """The key under which new entries are made."""
        return self.key(self.numbers()[-1])

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.key"


def tenant_keys_of(settings: CentralSettings) -> TenantKeys:
    """Return the keys of a central's folder; raises OSError, KeyFileError.

    The first is the one that ``[orders] tenant_key_file`` names, or an earlier version left.
    """
    first = settings.orders.tenant_key or settings.folder / "card.key"
    return TenantKeys(settings.folder / "tenant-keys", first)


def keys_in_force(settings: CentralSettings, store: SqlStore) -> list[TenantKey]:
    """Return the keys that machines hold, the one in use first."""
    keys = tenant_keys_of(settings)
    with store.reading() as connection:
        return [keys.key(number) for number in state_of(connection).numbers]


def desk_in(
    settings: CentralSettings,
    store: SqlStore,
    clock: Clock,
    on_change: Callable[[], None] = lambda: None,
) -> ListDesk:
    """Return the desk of a central's folder; its keys are read, or born, when they are needed."""
    return ListDesk(
        store,
        clock,
        law=load_law(),
        vault=functools.cache(lambda: Vault.at(settings.folder / "sealed.key")),
        keys=lambda: keys_in_force(settings, store),
        area=settings.area,
        on_change=on_change,
    )
