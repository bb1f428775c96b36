"""What a machine that this agent drives itself asks of its customer, and shows.

Blocking, called in the machine's thread. A customer who does not answer has said no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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

    def ask_amount(self, limits: AmountRange) -> int | None:
        """Let the customer choose an amount; None: nobody did, or it was cancelled."""

    def confirm(self, prompt: Prompt) -> bool:
        """Let the customer read a question and answer it; False for no answer."""


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

    def ask_amount(self, limits: AmountRange) -> int | None:
        """Nobody is there to choose."""
        return None

    def confirm(self, prompt: Prompt) -> bool:
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

    def ask_amount(self, limits: AmountRange) -> int | None:
        """Return the script's amount; the bank's limits are the table's business."""
        return self.visit.amount_fen

    def confirm(self, prompt: Prompt) -> bool:
        """Answer as the script says."""
        self.screen.say(prompt)
        return self.visit.confirms
