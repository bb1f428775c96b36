"""What a machine that this agent drives itself asks of its customer, and shows.

Blocking, called in the machine's thread. A customer who does not answer has said no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from atm_face.policy import Business
from atm_face.screens import Prompt, Text
from atm_face.withdrawal import Withdrawal
from edge_agent.atm.script import ScriptedVisit


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountRange:
    """What may be asked for: multiples of one note, up to a most."""

    note_fen: int
    most_fen: int

    def holds(self, amount_fen: int) -> bool:
        """Whether an amount may be asked for."""
        return 0 < amount_fen <= self.most_fen and amount_fen % self.note_fen == 0


class Service(StrEnum):
    """What the page offers, where there is more than cash."""

    CASH = "cash"
    TRANSFER = "transfer"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTransfer:
    """A transfer that can still be taken back, as the customer sees it."""

    amount_fen: int
    payee_last4: str
    ordered_at: str
    """Hours and minutes at the terminal."""


class Dialog(Protocol):
    """A customer at the machine."""

    def show(self, withdrawal: Withdrawal) -> None:
        """Show where a withdrawal stands."""

    def say(self, prompt: Prompt) -> None:
        """Show one thing the customer can do."""

    def end_with(self, text: Text) -> None:
        """Keep the words that say why this withdrawal comes to nothing; they are shown with it."""

    def tell(self, text: Text) -> None:
        """Show the end of a visit that came to no withdrawal."""

    def ask_amount(self, limits: AmountRange, service: Service = Service.CASH) -> int | None:
        """Let the customer choose an amount; None: nobody did, or it was cancelled."""

    def ask_service(self, services: Sequence[Service]) -> Service | None:
        """Let the customer choose what to do; None: nobody did."""

    def ask_payee(self) -> str | None:
        """Let the customer enter the account that gets the money; None: nobody did."""

    def choose_transfer(self, transfers: Sequence[HeldTransfer]) -> int | None:
        """Let the customer choose which transfer to take back, by its place; None: none."""

    def confirm(self, prompt: Prompt, detail: Text | None = None) -> bool:
        """Let the customer read a question and answer it; False for no answer.

        ``detail``: what the question is about.
        """


class Silent:
    """Nobody is shown anything."""

    def show(self, withdrawal: Withdrawal) -> None:
        """Show nothing."""

    def say(self, prompt: Prompt) -> None:
        """Say nothing."""

    def end_with(self, text: Text) -> None:
        """Keep nothing."""

    def tell(self, text: Text) -> None:
        """Tell nothing."""

    def ask_amount(self, limits: AmountRange, service: Service = Service.CASH) -> int | None:
        """Nobody is there to choose."""
        return None

    def ask_service(self, services: Sequence[Service]) -> Service | None:
        """Nobody is there to choose."""
        return None

    def ask_payee(self) -> str | None:
        """Nobody is there to enter anything."""
        return None

    def choose_transfer(self, transfers: Sequence[HeldTransfer]) -> int | None:
        """Nobody is there to choose."""
        return None

    def confirm(self, prompt: Prompt, detail: Text | None = None) -> bool:
        """Nobody is there to answer."""
        return False


@dataclass(frozen=True, slots=True)
class Scripted:
    """The script's customer: has chosen and answers at once; the screen shows what he sees."""

    screen: Dialog
    visit: ScriptedVisit

    def show(self, withdrawal: Withdrawal) -> None:
        """Show it on the screen."""
        self.screen.show(withdrawal)

    def say(self, prompt: Prompt) -> None:
        """Say it on the screen."""
        self.screen.say(prompt)

    def end_with(self, text: Text) -> None:
        """Keep it for the screen."""
        self.screen.end_with(text)

    def tell(self, text: Text) -> None:
        """Tell it on the screen."""
        self.screen.tell(text)

    def ask_amount(self, limits: AmountRange, service: Service = Service.CASH) -> int | None:
        """Return the script's amount; the bank's limits are the table's business."""
        return self.visit.amount_fen

    def ask_service(self, services: Sequence[Service]) -> Service | None:
        """Return the script's business."""
        wanted = {Business.TRANSFER_OTHER: Service.TRANSFER, Business.REVOKE: Service.REVOKE}
        service = wanted.get(self.visit.business, Service.CASH)
        return service if service in services else None

    def ask_payee(self) -> str | None:
        """Return the script's payee."""
        return self.visit.payee

    def choose_transfer(self, transfers: Sequence[HeldTransfer]) -> int | None:
        """Take back the newest."""
        return len(transfers) - 1 if transfers else None

    def confirm(self, prompt: Prompt, detail: Text | None = None) -> bool:
        """Answer as the script says."""
        self.screen.say(prompt)
        return self.visit.confirms
