"""The stop-payment platform behind an adapter: codes as data, requests and feedback as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from central.clocks import local
from central.orders.book import Application
from central.orders.kinds import AT_THE_BANK, OrderKind, Reason
from contract.clock import UnixMicros

PLATFORM_FILE = Path(__file__).with_name("platform.json")
SCHEMA = "qianshao-platform/1"


class PlatformError(ValueError):
    """A table of codes that cannot be used."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of the platform as this deployment uses them."""

    centre: str
    success: str
    duplicate: str
    no_account: str
    malformed: str
    requests: Mapping[OrderKind, str]
    feedbacks: Mapping[OrderKind, str]

    def kind(self, txcode: str) -> OrderKind:
        """Return the kind of a request; raises PlatformError."""
        for kind, code in self.requests.items():
            if code == txcode:
                return kind
        raise PlatformError(f"no order has the code {txcode[:20]!r}")


def load_codes(path: Path = PLATFORM_FILE) -> Codes:
    """Read a table of codes; raises PlatformError that names what is wrong."""
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA:
            raise PlatformError(f"{path.name}: schema is not {SCHEMA}")
        codes = table["codes"]
        kinds = {kind: codes[kind.value] for kind in sorted(AT_THE_BANK)}
        found = Codes(
            centre=str(table["centre"]),
            success=str(table["success"]),
            duplicate=str(table["duplicate"]),
            no_account=str(table["no_account"]),
            malformed=str(table["malformed"]),
            requests={kind: str(code["request"]) for kind, code in kinds.items()},
            feedbacks={kind: str(code["feedback"]) for kind, code in kinds.items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlatformError(f"{path.name}: {error}") from None
    if len(set(found.requests.values())) != len(found.requests):
        raise PlatformError(f"{path.name}: two kinds have one code")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What only the sealed column, the bank's own link and the order's expanded view hold."""

    number: str
    name: str
    payer_number: str = ""
    payer_name: str = ""

    def __repr__(self) -> str:
        return "Sealed(...)"  # neither a log nor a traceback may show it


@dataclass(frozen=True, slots=True, kw_only=True)
class BankRequest:
    """One order as the bank gets it."""

    serial: str
    """TransSerialNumber: the same order again has the same one and gets the same answer."""
    txcode: str
    application: Application
    sealed: Sealed

    def fields(self, codes: Codes) -> dict[str, str]:
        """Return the platform's own field names and forms of values (yyyyMMddHHmmss, yuan)."""
        application = self.application
        fields = {
            "TransSerialNumber": self.serial,
            "MessageFrom": application.sender or codes.centre,
            "TxCode": self.txcode,
            "ApplicationID": application.application_id,
            "CaseNumber": application.case,
            "EmergencyLevel": "02" if application.is_urgent else "01",
            "AccountNumber": self.sealed.number,
            "AccountName": self.sealed.name,
            "TransferAmount": f"{application.amount_fen // 100}.{application.amount_fen % 100:02}",
            "TransferTime": compact_time(application.transfer_at),
            "ApplicationTime": compact_time(application.drafted_at),
            "StartTime": compact_time(application.drafted_at),
        }
        if application.until is not None:
            fields["ExpireTime"] = compact_time(application.until)
        if application.kind in {OrderKind.FREEZE, OrderKind.EXTEND_FREEZE}:
            limit = application.limit_fen
            fields["FreezeType"] = "02" if limit is None else "01"
            if limit is not None:
                fields["Balance"] = f"{limit // 100}.{limit % 100:02}"
        return fields


def compact_time(at: UnixMicros | int) -> str:
    """Write a moment as the platform does, in Chinese time."""
    return f"{local(at):%Y%m%d%H%M%S}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What the bank did."""

    code: str
    return_code: str
    is_executed: bool
    failures: tuple[Reason, ...] = ()
    held_fen: int = 0
    usable_fen: int | None = None
    remark: str = ""

    def detail(self) -> dict[str, Any]:
        """Return it as an event keeps it."""
        return {
            "code": self.code,
            "return_code": self.return_code,
            "failures": [reason.value for reason in self.failures],
            "held_fen": self.held_fen,
            "usable_fen": self.usable_fen,
            "remark": self.remark,
        }


class BankError(Exception):
    """The bank or the platform did not answer: the order stays sent and is asked for again."""


class NoBank:
    """No way to any bank: what has two signatures waits and says why."""

    def submit(self, request: BankRequest) -> Feedback:
        """See :class:`BankAdapter`."""
        raise BankError("no bank is connected here: [orders] bank")

    def accounts_of(self, owner: str, name: str) -> list[str]:
        """See :class:`BankAdapter`."""
        raise BankError("no bank is connected here: [orders] bank")


class BankAdapter(Protocol):
    """One way to the banks."""

    def submit(self, request: BankRequest) -> Feedback:
        """Carry an order out, or say why not; raises BankError without an answer."""

    def accounts_of(self, owner: str, name: str) -> list[str]:
        """Full numbers of all accounts of one person (100309); raises BankError."""
