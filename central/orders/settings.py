"""What an operator sets of orders: the platform's codes, the way to the banks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from contract.settings import Table
from contract.webauthn import check_place


class BankKind(StrEnum):
    """Ways to the banks. A real platform's adapter is one more of them."""

    NONE = "none"
    """Orders wait after the second signature, and say so."""
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyPlace:
    """Where officers make and use passkeys (WebAuthn)."""

    rp_id: str
    """Domain that they are bound to."""
    origins: tuple[str, ...]
    """Addresses of the central's pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSettings:
    """Settings of the order desk."""

    platform: Path | None = None
    """Table of the platform's codes; None: the one that comes with the program."""
    bank: BankKind = BankKind.NONE
    accounts: Path | None = None
    """Accounts of the simulated bank."""
    tenant_key: Path | None = None
    """Key under which ATMs know accounts; None: ``card.key`` in the central's folder."""
    passkeys: PasskeyPlace | None = None
    """None: officers sign with key files alone."""


def read_order_settings(table: Table) -> OrderSettings:
    """Read ``[orders]``."""
    settings = OrderSettings(
        platform=table.path_or("platform", None),
        bank=table.word_or("bank", BankKind.NONE, BankKind),
        accounts=table.path_or("accounts", None),
        tenant_key=table.path_or("tenant_key_file", None),
        passkeys=_passkeys(table),
    )
    if settings.bank is BankKind.SIMULATED and settings.accounts is None:
        table.problem("accounts", "the simulated bank needs its accounts: a JSON file")
    return settings


def _passkeys(table: Table) -> PasskeyPlace | None:
    """Read where passkeys are used; the domain is the first page's host unless it is named."""
    origins = table.texts_or("passkey_origins", ())
    domain = table.text_or("passkey_domain", "")
    if not origins:
        if domain:
            table.problem("passkey_domain", "names no page: set passkey_origins too")
        return None
    try:
        place = PasskeyPlace(rp_id=domain or urlsplit(origins[0]).hostname or "", origins=origins)
        check_place(place.rp_id, place.origins)
    except ValueError as error:
        table.problem("passkey_origins", str(error))
        return None
    return place
