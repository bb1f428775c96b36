"""What an operator sets of orders: the platform's codes, the way to the banks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from contract.settings import Table


class BankKind(StrEnum):
    """Ways to the banks. A real platform's adapter is one more of them."""

    NONE = "none"
    """Orders wait after the second signature, and say so."""
    SIMULATED = "simulated"


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


def read_order_settings(table: Table) -> OrderSettings:
    """Read ``[orders]``."""
    settings = OrderSettings(
        platform=table.path_or("platform", None),
        bank=table.word_or("bank", BankKind.NONE, BankKind),
        accounts=table.path_or("accounts", None),
        tenant_key=table.path_or("tenant_key_file", None),
    )
    if settings.bank is BankKind.SIMULATED and settings.accounts is None:
        table.problem("accounts", "the simulated bank needs its accounts: a JSON file")
    return settings
