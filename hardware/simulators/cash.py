"""A simulated dispenser and card slot with a memory of where each note really is.

What the device *says* and what *happened* are told apart: a completion may be lost after the notes
moved. The notes survive a power cut; the nonce and the words do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hardware.atm.interface import (
    CardResult,
    DeviceLostError,
    Dispensed,
    DispenseResult,
    PresentResult,
    PresentState,
    Retracted,
    Status,
)


class DispenseFault(StrEnum):
    """What goes wrong while notes are counted."""

    NONE = "none"
    REFUSED = "refused"
    FORGED = "forged"
    NOTHING = "nothing"
    PART = "part"
    TOO_MANY = "too_many"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"


class PresentFault(StrEnum):
    """What goes wrong on the way to the customer."""

    NONE = "none"
    NO_ITEMS = "no_items"
    SOME_ITEMS = "some_items"
    UNKNOWN_IN = "unknown_in"
    UNKNOWN_OUT = "unknown_out"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"


class TakeFault(StrEnum):
    """What becomes of notes in reach."""

    TAKEN = "taken"
    LEFT = "left"
    SENSOR_LOST = "sensor_lost"
    """Taken, but the event never comes."""


class RetractFault(StrEnum):
    """What goes wrong while notes are drawn in."""

    NONE = "none"
    PART_TAKEN = "part_taken"
    """The customer pulled one out; the rest is counted."""
    ALL_TAKEN = "all_taken"
    UNCOUNTED = "uncounted"
    LOST_AFTER = "lost_after"


class StatusFault(StrEnum):
    """What the dispenser remembers afterwards."""

    NONE = "none"
    UNKNOWN = "unknown"
    LOST = "lost"
    MISCOUNTED = "miscounted"
    """It names one note fewer than it gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CashFaults:
    """Everything that can be set to go wrong; the default is a machine without faults."""

    dispense: DispenseFault = DispenseFault.NONE
    present: PresentFault = PresentFault.NONE
    take: TakeFault = TakeFault.TAKEN
    retract: RetractFault = RetractFault.NONE
    status: StatusFault = StatusFault.NONE
    can_reject: bool = True
    card: CardResult = CardResult.TAKEN
    card_later: CardResult | None = None
    """For the second and later tries to give the card back."""
    is_slot_lost: bool = False
    can_retain: bool = True


NOTE_FEN = 10_000


class SimulatedDispenser:
    """Notes in five places; ``on_done`` is called after each effect, before its completion."""

    def __init__(self, faults: CashFaults, on_done: Callable[[str], None]) -> None:
        self._faults = faults
        self._on_done = on_done
        self.stacker_fen = 0
        self.slot_fen = 0
        self.customer_fen = 0
        self.rejected_fen = 0
        self.retracted_fen = 0
        self._presented_fen = 0
        self.calls: list[tuple[str, object]] = []

    def dispense(self, amount_fen: int, token: str) -> Dispensed:
        """Move notes from the cassettes to the stacker."""
        self.calls.append(("dispense", amount_fen))
        fault = self._faults.dispense
        self._presented_fen = 0
        moved = {
            DispenseFault.NONE: amount_fen,
            DispenseFault.LOST_AFTER: amount_fen,
            DispenseFault.PART: amount_fen - NOTE_FEN,
            DispenseFault.TOO_MANY: amount_fen + NOTE_FEN,
        }.get(fault, 0)
        self.stacker_fen += moved
        self._on_done("dispense")
        if fault in {DispenseFault.LOST_BEFORE, DispenseFault.LOST_AFTER}:
            raise DeviceLostError("no completion of Dispense")
        result = {
            DispenseFault.REFUSED: DispenseResult.REFUSED,
            DispenseFault.FORGED: DispenseResult.TOKEN_FORGED,
            DispenseFault.NOTHING: DispenseResult.NOTHING,
        }.get(fault, DispenseResult.DISPENSED)
        return Dispensed(result, moved)

    def present(self) -> PresentResult:
        """Move the stacker's notes to the slot, all, some or none."""
        self.calls.append(("present", self.stacker_fen))
        fault = self._faults.present
        out = {
            PresentFault.NO_ITEMS: 0,
            PresentFault.UNKNOWN_IN: 0,
            PresentFault.LOST_BEFORE: 0,
            PresentFault.SOME_ITEMS: min(self.stacker_fen, NOTE_FEN),
        }.get(fault, self.stacker_fen)
        self.stacker_fen -= out
        self.slot_fen += out
        self._presented_fen += out
        self._on_done("present")
        if fault in {PresentFault.LOST_BEFORE, PresentFault.LOST_AFTER}:
            self._customer_acts()
            raise DeviceLostError("no completion of Present")
        if fault is not PresentFault.NONE:
            self._customer_acts()
        return {
            PresentFault.NONE: PresentResult.PRESENTED,
            PresentFault.NO_ITEMS: PresentResult.NO_ITEMS,
            PresentFault.SOME_ITEMS: PresentResult.SOME_ITEMS,
        }.get(fault, PresentResult.UNKNOWN)

    def _customer_acts(self) -> None:
        """Nobody is told: notes in reach are taken, unless this customer has gone."""
        if self._faults.take is not TakeFault.LEFT:
            self.customer_fen += self.slot_fen
            self.slot_fen = 0

    def await_taken(self) -> bool:
        """Wait for the customer."""
        self._customer_acts()
        self._on_done("taken" if self.slot_fen == 0 else "left")
        if self._faults.take is TakeFault.SENSOR_LOST:
            raise DeviceLostError("no ItemsTakenEvent")
        return self.slot_fen == 0

    def retract(self) -> Retracted:
        """Draw the slot's notes in."""
        self.calls.append(("retract", self.slot_fen))
        fault = self._faults.retract
        late = {
            RetractFault.PART_TAKEN: min(self.slot_fen, NOTE_FEN),
            RetractFault.ALL_TAKEN: self.slot_fen,
        }.get(fault, 0)
        self.customer_fen += late
        count = self.slot_fen - late
        self.retracted_fen += count
        self.slot_fen = 0
        self._on_done("retract")
        if fault is RetractFault.LOST_AFTER:
            raise DeviceLostError("no completion of Retract")
        if fault in {RetractFault.ALL_TAKEN, RetractFault.UNCOUNTED}:
            return Retracted(None)
        return Retracted(count)

    def reject(self) -> bool:
        """Move the stacker's notes to the reject bin."""
        self.calls.append(("reject", self.stacker_fen))
        if self._faults.can_reject:
            self.rejected_fen += self.stacker_fen
            self.stacker_fen = 0
        self._on_done("reject")
        return self._faults.can_reject

    def status(self) -> Status:
        """Say what became of the last dispense, as far as this machine remembers."""
        fault = self._faults.status
        self._on_done("status")
        if fault is StatusFault.LOST:
            raise DeviceLostError("no completion of GetPresentStatus")
        if fault is StatusFault.UNKNOWN:
            return Status(PresentState.UNKNOWN)
        if self._presented_fen == 0:
            return Status(PresentState.NOT_PRESENTED)
        if self.retracted_fen or self.slot_fen:
            return Status(PresentState.RETRACTED)
        short = NOTE_FEN if fault is StatusFault.MISCOUNTED else 0
        return Status(PresentState.PRESENTED, self._presented_fen - short)

    def power_up(self) -> None:
        """Initialise as machines do: what still lies in the slot is drawn in, uncounted."""
        self._customer_acts()
        self.retracted_fen += self.slot_fen
        self.slot_fen = 0


class SimulatedCardSlot:
    """One card and what its owner does when it is offered."""

    def __init__(self, faults: CashFaults, on_done: Callable[[str], None]) -> None:
        self._faults = faults
        self._on_done = on_done
        self._offers = 0
        self.place = CardResult.LEFT
        """LEFT: in the transport."""
        self.was_left = False
        """Whether its owner once let it lie."""

    def eject(self) -> CardResult:
        """Offer the card."""
        if self.place is not CardResult.LEFT:
            self._on_done("eject")
            return self.place if self.place is CardResult.JAMMED else CardResult.ABSENT
        later = self._faults.card_later
        result = later if later is not None and self._offers else self._faults.card
        self._offers += 1
        self.place = result
        self.was_left |= result is CardResult.LEFT
        self._on_done("eject")
        if self._faults.is_slot_lost:
            raise DeviceLostError("no completion of Move")
        return result

    def retain(self) -> CardResult:
        """Draw the card into the bin."""
        if self.place is CardResult.LEFT:
            self.place = CardResult.RETAINED if self._faults.can_retain else CardResult.JAMMED
        self._on_done("retain")
        return self.place if self.place is not CardResult.TAKEN else CardResult.ABSENT
