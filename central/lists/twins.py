"""The same list row under another of the tenant's keys, from its sealed number."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from central.orders.sealed import Vault
from central.store.lists import ListEntry
from contract.accounts import CardRef, card_ref

SEAL_ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantKey:
    """A key under which this central knows accounts."""

    number: int
    secret: bytes

    def ref(self, number: str) -> CardRef:
        """Return an account as messages name it; raises ValueError that quotes nothing."""
        return card_ref(number, self.secret)

    def __repr__(self) -> str:
        return f"TenantKey({self.number})"


def twins(
    rows: Iterable[ListEntry], key: TenantKey, vault: Vault, change_id: int
) -> Iterator[ListEntry]:
    """Return rows under another key; what is sealed is opened by the program alone, for this."""
    for row in rows:
        assert row.seal_id is not None
        assert row.sealed is not None
        sealed = vault.open(row.seal_id, row.sealed)
        ref, seal_id = key.ref(sealed.number), secrets.token_bytes(SEAL_ID_BYTES)
        yield replace(
            row,
            account=ref.hmac,
            change_id=change_id,
            added_version=None,
            removed_version=None,
            seal_id=seal_id,
            sealed=vault.seal(seal_id, sealed),
            key_number=key.number,
        )
