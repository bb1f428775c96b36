"""The seam of the ATM's devices and its host, as a withdrawal needs them; one file for each kind.

Calls block until the device's completion (or the host's answer) is there. A device judges nothing:
it says what it did, what it counted, or that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class DeviceLostError(Exception):
    """No completion came: link lost, device off, time-out. What it did is not known."""


class HostSilentError(Exception):
    """No answer came, or the link was closed. Whether the host did it is not known."""


class DispenseResult(StrEnum):
    """Completion of CashDispenser.Dispense."""

    DISPENSED = "dispensed"
    REFUSED = "refused"
    """Refused before anything moved: no nonce, token out of form, device not ready."""
    TOKEN_FORGED = "token_forged"  # noqa: S105 - invalidTokenHMAC
    NOTHING = "nothing"
    """It tried and failed; notes that moved are on the stacker or in the reject bin."""


@dataclass(frozen=True, slots=True)
class Dispensed:
    """What Dispense came to."""

    result: DispenseResult
    count_fen: int = 0


class PresentResult(StrEnum):
    """Completion of CashDispenser.Present."""

    PRESENTED = "presented"
    NO_ITEMS = "no_items"
    SOME_ITEMS = "some_items"
    UNKNOWN = "unknown"


class PresentState(StrEnum):
    """Answer of CashDispenser.GetPresentStatus, with what became of the notes since."""

    PRESENTED = "presented"
    NOT_PRESENTED = "not_presented"
    RETRACTED = "retracted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """What the dispenser says of its last dispense."""

    state: PresentState
    count_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Retracted:
    """What Retract came to; None: some notes were taken, or nobody could count."""

    count_fen: int | None


class CardResult(StrEnum):
    """What became of the card."""

    TAKEN = "taken"
    LEFT = "left"
    RETAINED = "retained"
    JAMMED = "jammed"
    ABSENT = "absent"


class Movement(StrEnum):
    """What a request asks the host for."""

    CASH = "cash"
    TRANSFER = "transfer"
    """To other people: the bank carries it out after the legal delay."""
    REVOCATION = "revocation"
    """A transfer that still waits is taken back."""


class Dispenser(Protocol):
    """A cash dispenser. Every call may raise DeviceLostError."""

    def dispense(self, amount_fen: int, token: str) -> Dispensed:
        """Count notes onto the stacker."""

    def present(self) -> PresentResult:
        """Bring the stacker's notes into the customer's reach."""

    def await_taken(self) -> bool:
        """Wait until the notes are taken; False after the time-out."""

    def retract(self) -> Retracted:
        """Draw in what was not taken."""

    def reject(self) -> bool:
        """Move what is on the stacker to the reject bin; False if it could not."""

    def status(self) -> Status:
        """Ask, under a fresh nonce, what became of the last dispense."""


class CardSlot(Protocol):
    """A card reader's transport. Every call may raise DeviceLostError."""

    def eject(self) -> CardResult:
        """Offer the card and wait until it is taken or the time is over."""

    def retain(self) -> CardResult:
        """Move the card to the retain bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What names a withdrawal between terminal and host."""

    stan: str
    terminal: str
    amount_fen: int
    local_time: str
    """``YYYYMMDDhhmmss`` at the terminal."""
    movement: Movement = Movement.CASH
    original: Trace | None = None
    """Of a revocation: the transfer that it takes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSecrets:
    """What only lives in memory between card reader, PIN pad and host."""

    pan: str = field(repr=False)
    track2: str = field(repr=False, default="")
    pin_block: bytes = field(repr=False, default=b"")
    emv: bytes = field(repr=False, default=b"")
    nonce: str = ""
    """The dispenser's nonce: the host binds its token to it."""
    assertion: bytes = b""
    """The signed face assertion, where the host wants it."""
    payee: str = field(repr=False, default="")
    """Account that a transfer goes to; the journal keeps its last four digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """The host's answer to a request, decoded; nothing of it is believed yet."""

    code: str
    """DE39."""
    is_authentic: bool
    """Its MAC is right, or the profile has none."""
    stan: str
    terminal: str
    amount_fen: int
    token: str = field(repr=False, default="")


class AdviceKind(StrEnum):
    """What the host is told afterwards."""

    REVERSAL = "reversal"
    PARTIAL_REVERSAL = "partial_reversal"
    CONFIRMATION = "confirmation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One message of the store-and-forward queue."""

    number: int
    kind: AdviceKind
    trace: Trace
    actual_fen: int
    """What the customer got: 0 for a full reversal."""
    is_repeat: bool
    pan: str = field(repr=False)


class HostLink(Protocol):
    """The line to the bank. Every call may raise HostSilentError."""

    def request(self, trace: Trace, secrets: CardSecrets) -> HostAnswer:
        """Ask for an authorisation (0200) and wait for its answer."""

    def advise(self, advice: Advice) -> str:
        """Send an advice (0420, 0421 or 0220) and return the authentic answer's code."""

    def echo(self) -> bool:
        """Whether the host answers a network message (0800)."""
