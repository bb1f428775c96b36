"""One machine's devices, host and journal (mode B): card and PIN in, one withdrawal to its end.

Everything here blocks and belongs to one thread. The devices are found by what they can do; the
journal settles what a power cut left open before any customer is served.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from atm_face.policy import TRANSFER_DELAY_S
from atm_face.withdrawal import Factors, Outcome, Step, Terms, Withdrawal
from contract.accounts import CardRef
from contract.clock import Clock, UnixMicros
from contract.words import PinVerdict
from edge_agent.atm.journal import Journal, JournalError, Opening, WaitingTransfer
from edge_agent.atm.reversals import ReversalQueue
from edge_agent.atm.sealing import Seal
from edge_agent.atm.withdrawals import Withdrawals
from edge_agent.atm_config import MachineConfig
from hardware.atm.bank import PROFILES, AesCmac, Messages
from hardware.atm.discovery import ServiceKind, discover, standard_publishers
from hardware.atm.host import HostAddress, HostClient
from hardware.atm.interface import CardSecrets, DeviceLostError, HostAnswer, Movement, Trace
from hardware.atm.xfs4iot import pin_block_payload, pin_entry_payload
from hardware.atm.xfs_client import XfsCardSlot, XfsClient, XfsDispenser

JOURNAL_FILE = "journal.sqlite3"
SEAL_KEY_FILE = "journal.key"
PIN_CODES = {
    "00": PinVerdict.OK,
    "55": PinVerdict.WRONG,
    "38": PinVerdict.BLOCKED,
    "75": PinVerdict.BLOCKED,
}
"""ISO 8583 (1987) response codes that speak of the PIN; every other says nothing of it."""
CARD_WAIT_S = 5.0
DEVICE_S = 60.0
_NEEDED = (ServiceKind.CARD_READER, ServiceKind.PIN_PAD, ServiceKind.CASH_DISPENSER)

log = structlog.get_logger("atm")


class MachineError(Exception):
    """The machine cannot serve now; the part is started again."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the reader read; lives in memory for one visit."""

    pan: str = field(repr=False)
    track2: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a customer asks for; the payee lives in memory for one visit."""

    movement: Movement
    amount_fen: int
    payee: str = field(repr=False, default="")
    transfer: str = ""
    """Of a revocation: the id of the transfer."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a withdrawal ended, and the host's code if it answered."""

    outcome: Outcome | None
    code: str


class _Remembering(HostClient):
    """A host client that keeps the code of its last answer, for the decision's reason."""

    last_code = ""

    def request(self, trace: Trace, secrets: CardSecrets) -> HostAnswer:
        self.last_code = ""
        answer = super().request(trace, secrets)
        self.last_code = answer.code if answer.is_authentic else ""
        return answer


class Machine:
    """Devices, host and journal of one machine."""

    def __init__(
        self,
        config: MachineConfig,
        *,
        state_dir: Path,
        clock: Clock,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> None:
        """Find the devices and open the journal; raises MachineError, JournalError, OSError."""
        self._config = config
        self._clock = clock
        found = discover(
            standard_publishers() if config.publisher is None else [config.publisher],
            config.dialect,
        )
        missing = [kind.value for kind in _NEEDED if kind not in found.services]
        if missing:
            words = "; ".join((f"no service for {', '.join(missing)}", *found.problems))
            raise MachineError(words)
        self._reader, self._pad, cash = (
            XfsClient(found.services[kind], config.dialect, timeout_s=DEVICE_S) for kind in _NEEDED
        )
        self._lines = (self._reader, self._pad, cash)
        self.unsettled = self._agree()
        token_key = config.token_key_file.read_bytes() if config.token_key_file else None
        self._dispenser = XfsDispenser(cash, key=token_key, taken_s=config.taken_s)
        self._slot = XfsCardSlot(self._reader, taken_s=config.taken_s)
        self.journal = Journal(state_dir / JOURNAL_FILE)
        self._seal = Seal.of_file(state_dir / SEAL_KEY_FILE)
        profile = PROFILES[config.host.profile]
        mac_file = config.host.mac_key_file
        mac = AesCmac(mac_file.read_bytes()) if mac_file is not None else None
        self._hours = profile.utc_offset_hours
        self.offers_transfers = config.offers_transfers and bool(profile.transfer_code)
        self.host = _Remembering(
            Messages(profile, mac),
            HostAddress(
                host=config.host.host, port=config.host.port, timeout_s=config.host.timeout_s
            ),
            new_stan=self.journal.take_stan,
            local_time=self.local_time,
        )
        self.queue = ReversalQueue(self.journal, self.host, clock, self._seal)
        self._desk = Withdrawals(
            self.journal,
            dispenser=self._dispenser,
            slot=self._slot,
            host=self.host,
            clock=clock,
            terms=Terms(allows_partial=profile.allows_partial),
            on_step=on_step,
        )

    def _agree(self) -> tuple[str, ...]:
        """Settle versions with every service; names of those that did not take them."""
        interfaces = {
            "card reader": (self._reader, ("CardReader",)),
            "PIN pad": (self._pad, ("Keyboard", "PinPad")),
            "dispenser": (self._lines[2], ("CashDispenser", "CashManagement")),
        }
        try:
            return tuple(
                name for name, (line, names) in interfaces.items() if not line.agree(*names)
            )
        except DeviceLostError as error:
            raise MachineError(str(error)) from None

    def close(self) -> None:
        """Hang up everywhere."""
        for line in self._lines:
            line.close()
        self.host.close()
        self.journal.close()

    def recover(self) -> list[Withdrawal]:
        """Settle what a power cut left open; raises JournalError."""
        return self._desk.recover()

    def is_protected(self) -> bool:
        """Whether the dispenser's own hardware insists on the host's tokens."""
        return self._dispenser.is_protected()

    def local_time(self) -> str:
        """Time at the terminal, as the host's messages have it."""
        zone = dt.timezone(dt.timedelta(hours=self._hours))
        return dt.datetime.fromtimestamp(self._clock.wall() / 1e6, zone).strftime("%Y%m%d%H%M%S")

    def clock_time(self, at: UnixMicros) -> str:
        """Hours and minutes of a moment, as customers here read them."""
        zone = dt.timezone(dt.timedelta(hours=self._hours))
        return dt.datetime.fromtimestamp(at / 1e6, zone).strftime("%m-%d %H:%M")

    # -- one visit ---------------------------------------------------------------------------------

    def read_card(self) -> Card | None:
        """Wait for a card; None: nobody came, or it cannot be read. Raises DeviceLostError."""
        done = self._reader.ask("CardReader.ReadRawData", {"track2": True})
        if done.completion_code != "success":
            return None
        track = done.payload.get("track2")
        data = track.get("data") if isinstance(track, dict) else None
        try:
            track2 = base64.b64decode(str(data), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            return None
        pan = track2.partition("=")[0]
        if not (pan.isdigit() and 13 <= len(pan) <= 19):
            return None
        return Card(pan, track2)

    def take_pin(self, card: Card) -> bytes:
        """Let the pad take a PIN; its encrypted block, empty without a complete entry.

        Digits never come out of the pad. Raises DeviceLostError.
        """
        entry = self._pad.ask("Keyboard.PinEntry", pin_entry_payload())
        if entry.completion_code != "success" or entry.payload.get("completion") != "enter":
            return b""
        wish = pin_block_payload(card.pan, self._config.pin_key, self._pad.dialect, "iso0")
        block = self._pad.ask("PinPad.GetPinBlock", wish)
        if block.completion_code != "success":
            return b""
        try:
            return base64.b64decode(str(block.payload.get("pinBlock")), validate=True)
        except binascii.Error:
            return b""

    def check_pin(self, card: Card, block: bytes) -> PinVerdict | None:
        """What the bank says of the PIN before anything else is asked; None: it does not tell."""
        secrets = CardSecrets(pan=card.pan, pin_block=block)
        code = self.host.check_pin(self._config.terminal, secrets)
        return None if code is None else PIN_CODES.get(code)

    def readiness(self, card: CardRef) -> Factors:
        """Everything but the customer's factors, policy and clock, as it is at this moment."""
        return Factors(
            card=True,
            journal=self.journal.check() and self.journal.problem() is None,
            queue=self.queue.allows(card.hmac),
            host=self.host.echo(),
            devices=self._devices_answer(),
        )

    def _devices_answer(self) -> bool:
        """Whether dispenser and reader say that they are on line."""
        try:
            states = [line.ask("Common.Status").payload.get("common") for line in self._lines]
        except DeviceLostError:
            return False
        return all(isinstance(one, dict) and one.get("device") == "online" for one in states)

    def waiting_transfers(self, card: CardRef) -> list[WaitingTransfer]:
        """Return what was ordered here with a card and the bank may still hold."""
        since = self._clock.wall() - TRANSFER_DELAY_S * 1_000_000
        return self.journal.waiting_transfers(card.hmac, since)

    def serve(
        self, visit: str, wish: Wish, card: Card, ref: CardRef, pin: bytes, factors: Factors
    ) -> Done:
        """Run one request to its end; raises JournalError after the card is given back."""
        self.host.last_code = ""
        nonce = ""  # without one no token can be bound to it: the dispenser refuses
        if wish.movement is Movement.CASH:
            with contextlib.suppress(DeviceLostError):
                nonce = self._dispenser.nonce()
        opening = Opening(
            id=visit,
            terminal=self._config.terminal,
            amount_fen=wish.amount_fen,
            local_time=self.local_time(),
            card=ref.hmac,
            sealed_pan=self._seal.close(card.pan, visit),
            evidence=visit,
            movement=wish.movement,
            original=wish.transfer,
            payee_last4=wish.payee[-4:],
        )
        secrets = CardSecrets(pan=card.pan, track2="", pin_block=pin, nonce=nonce, payee=wish.payee)
        end = self._desk.serve(opening, factors, secrets)
        return Done(end.outcome, self.host.last_code)

    def give_card_back(self) -> None:
        """Offer the card where no withdrawal was begun."""
        try:
            self._slot.eject()
        except DeviceLostError as error:
            log.warning("card_not_returned", problem=str(error))

    def tend_queue(self) -> None:
        """Send what the host is still owed, until it is not answered; raises JournalError."""
        while self.journal.waiting() and self.queue.step():
            pass


__all__ = ["Card", "Done", "JournalError", "Machine", "MachineError", "Wish"]
