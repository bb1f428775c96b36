"""The tenant's keys under which accounts are known: secrets in files, numbers everywhere else."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

from central.clocks import load_law
from central.lists.desk import ListDesk, TenantKey
from central.orders.sealed import Vault
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.files import create_durably
from contract.keyfiles import check_private, read_file

KEY_BYTES = 32
_NAME = re.compile(r"([1-9][0-9]{0,8})\.key")


class TenantKeys:
    """One folder of keys, each in a file of mode 0600 that bears its number."""

    def __init__(self, folder: Path) -> None:
        """Make the first key where there is none; raises OSError, KeyFileError."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.numbers():
            self.make(1)

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
        return TenantKey(number=number, secret=read_file(path))

    @property
    def newest(self) -> TenantKey:
        """The key under which new entries are made."""
        return self.key(self.numbers()[-1])

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.key"


def desk_in(
    folder: Path,
    store: SqlStore,
    clock: Clock,
    area: str,
    on_change: Callable[[], None] = lambda: None,
) -> ListDesk:
    """Return the desk of a central's folder; its keys are read, or born, when they are needed."""
    return ListDesk(
        store,
        clock,
        law=load_law(),
        vault=functools.cache(lambda: Vault.at(folder / "sealed.key")),
        key=lambda: TenantKeys(folder / "tenant-keys").newest,
        area=area,
        on_change=on_change,
    )
