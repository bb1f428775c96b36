"""A simulated XFS4IoT ATM on the loopback: publisher, card reader and dispenser, both dialects.

The dispenser checks its host's tokens as a good one does, behind a nonce of its own; where each
note is stays with the simulated cash. ``fault`` looks at every command before it is carried out
and may drop it, close the line, answer otherwise, or add a message of its own.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from hardware.atm.discovery import SIMULATED_VENDOR
from hardware.atm.interface import (
    CardResult,
    DeviceLostError,
    DispenseResult,
    PresentResult,
    PresentState,
)
from hardware.atm.money import Money
from hardware.atm.token import DispenseGuard, PresentStatus, TokenError, seal_present_status
from hardware.atm.xfs4iot import (
    COMMANDS,
    Dialect,
    Kind,
    Payload,
    XfsError,
    XfsMessage,
    decode_message,
    dispense_amount,
    encode_message,
)
from hardware.simulators.biometric import SimulatedBiometric
from hardware.simulators.cash import SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.epp import PinPadProcess
from hardware.simulators.xfs_services import (
    BIOMETRIC,
    CAMERA,
    COMPLETION_VERSIONS,
    DISPENSER,
    PIN_PAD,
    READER,
    capabilities,
)

ROOT = "/xfs4iot/v1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class XfsFault:
    """What goes wrong with one command; the default is nothing."""

    is_dropped: bool = False
    """No completion comes."""
    is_closed: bool = False
    code: str | None = None
    """This completion code instead of carrying it out."""
    raw_before: str | None = None
    """This text is sent before the completion."""


Reply = tuple[str, Payload, list[XfsMessage]]
"""Completion code, payload, and events that come before it."""


class XfsAtm:
    """One machine; as many clients as connect."""

    def __init__(
        self,
        cash: SimulatedDispenser,
        slot: SimulatedCardSlot,
        dialect: Dialect,
        *,
        token_key: bytes,
        pan: str = "",
        pin_pad: PinPadProcess | None = None,
        camera: Callable[[], bytes] | None = None,
        biometric: SimulatedBiometric | None = None,
        has_security_element: bool = True,
        fault: Callable[[XfsMessage], XfsFault] = lambda message: XfsFault(),
        port: int = 0,
    ) -> None:
        """``pan``: what the card in the reader holds. ``port`` 0: any.

        ``camera`` takes a picture of whoever stands there, as JPEG, PNG or BMP; None: no camera.
        """
        self.cash, self.slot = cash, slot
        self.dialect = dialect
        self.guard = DispenseGuard(token_key)
        self._key = token_key
        self._pan = pan
        self._pin_pad = pin_pad
        self._camera, self._biometric = camera, biometric
        self._has_security_element = has_security_element
        self._fault = fault
        self._last = Money(0, "CNY")
        self._last_id = "0" * 64
        self._lock = threading.RLock()
        self._lines: dict[str, set[ServerConnection]] = {}
        self._server = serve(self._serve, "127.0.0.1", port, close_timeout=1)
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> XfsAtm:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for lines in list(self._lines.values()):
            for line in list(lines):
                line.close()
        self._server.shutdown()
        self._thread.join()

    @property
    def _services(self) -> tuple[str, ...]:
        has = {
            READER: True,
            DISPENSER: True,
            PIN_PAD: self._pin_pad is not None,
            CAMERA: self._camera is not None,
            BIOMETRIC: self._biometric is not None,
        }
        return tuple(name for name, is_there in has.items() if is_there)

    def url(self, service: str = "") -> str:
        """Address of the publisher, or of a service."""
        return f"ws://127.0.0.1:{self.port}{ROOT}" + (f"/{service}/" if service else "")

    def insert(self, pan: str, slot: SimulatedCardSlot) -> bool:
        """A customer puts a card in; False where the one before lies in the slot."""
        with self._lock:
            if self._pan and self.slot.place in {CardResult.LEFT, CardResult.JAMMED}:
                return False
            self.slot, self._pan = slot, pan
            return True

    def power_up(self) -> None:
        """A power cut takes the nonce; the notes are where they were."""
        self.guard.clear()
        self.cash.power_up()

    # -- connections -------------------------------------------------------------------------------

    def _serve(self, line: ServerConnection) -> None:
        path = (line.request.path if line.request is not None else "").rstrip("/")
        service = path.removeprefix(ROOT).strip("/")
        if not path.startswith(ROOT) or service not in {"", *self._services}:
            line.close(1008, "no such service")
            return
        self._lines.setdefault(service, set()).add(line)
        with contextlib.suppress(ConnectionClosed):
            for text in line:
                if not self._take(line, service, text):
                    line.close()
                    return
        self._lines[service].discard(line)

    def _take(self, line: ServerConnection, service: str, text: str | bytes) -> bool:
        """Answer one message; False closes the line."""
        try:
            asked = decode_message(text)
        except XfsError:
            return True  # a real service may answer invalidMessage; a silent one is the harder case
        if asked.kind is not Kind.COMMAND:
            return True
        self._send(line, replace(asked, kind=Kind.ACKNOWLEDGE, payload={}, timeout_ms=None))
        fault = self._fault(asked)
        if fault.is_closed:
            return False
        if fault.raw_before is not None:
            line.send(fault.raw_before)
        with self._lock:
            try:
                code, payload, events = self._carry_out(service, asked, fault)
            except DeviceLostError:
                return False
            for event in events:
                if event.kind is Kind.EVENT:
                    self._send(line, event)
            if fault.is_dropped:
                return True
            self._send(line, self._completion(asked, code, payload))
            for event in events:
                if event.kind is Kind.UNSOLICITED:
                    self._tell_all(service, event)
            return self._after(service, asked, code)

    def _completion(self, asked: XfsMessage, code: str, payload: Payload) -> XfsMessage:
        current = COMPLETION_VERSIONS.get(asked.name, "2.0")
        return XfsMessage(
            name=asked.name,
            kind=Kind.COMPLETION,
            request_id=asked.request_id,
            version="1.0" if self.dialect is Dialect.D2021_1 else current,
            payload=payload,
            completion_code=code,
            error_description="" if code == "success" else code,
        )

    def _event(self, name: str, asked: XfsMessage | None, payload: Payload) -> XfsMessage:
        is_own = asked is not None
        return XfsMessage(
            name=name,
            kind=Kind.EVENT if is_own else Kind.UNSOLICITED,
            request_id=asked.request_id if asked is not None else None,
            version="1.0" if self.dialect is Dialect.D2021_1 else "2.0",
            payload=payload,
        )

    def _send(self, line: ServerConnection, message: XfsMessage) -> None:
        line.send(encode_message(message, self.dialect))

    def _tell_all(self, service: str, message: XfsMessage) -> None:
        for line in list(self._lines.get(service, ())):
            with contextlib.suppress(ConnectionClosed):
                self._send(line, message)

    # -- commands ----------------------------------------------------------------------------------

    def _carry_out(self, service: str, asked: XfsMessage, fault: XfsFault) -> Reply:
        if fault.code is not None:
            return fault.code, {}, []
        name = asked.name
        if service == "" and name == "ServicePublisher.GetServices":
            services = [{"serviceURI": self.url(one)} for one in self._services]
            return "success", {"vendorName": SIMULATED_VENDOR, "services": services}, []
        if name == "Common.Capabilities":
            return "success", capabilities(service, self._has_security_element), []
        if name == "Common.Status":
            return "success", {"common": {"device": "online"}}, []
        if name == "Common.SetVersions":
            return self._set_versions(asked)
        handler = {
            (DISPENSER, "Common.GetCommandNonce"): self._nonce,
            (DISPENSER, "Common.ClearCommandNonce"): self._clear_nonce,
            (DISPENSER, "CashDispenser.Dispense"): self._dispense,
            (DISPENSER, "CashDispenser.Present"): self._present,
            (DISPENSER, "CashDispenser.Reject"): self._reject,
            (DISPENSER, "CashDispenser.GetPresentStatus"): self._status,
            (DISPENSER, "CashManagement.Retract"): self._retract,
            (PIN_PAD, "Keyboard.PinEntry"): self._pin_entry,
            (PIN_PAD, "PinPad.GetPinBlock"): self._pin_block,
            (READER, "CardReader.ReadRawData"): self._read,
            (READER, "CardReader.Move"): self._move,
            (CAMERA, "Camera.TakePicture"): self._take_picture,
        }.get((service, name))
        if handler is None and service == BIOMETRIC and self._biometric is not None:
            return self._of_biometric(self._biometric, asked)
        return ("unsupportedCommand", {}, []) if handler is None else handler(asked)

    def _set_versions(self, asked: XfsMessage) -> Reply:
        """Take major versions that are spoken here; whoever asks for another is refused."""
        wanted = asked.payload.get("commands", {})
        if not isinstance(wanted, dict) or not all(
            isinstance(major, int) and major == self._major(str(name))
            for name, major in wanted.items()
        ):
            return "invalidData", {}, []
        return "success", {}, []

    def _major(self, name: str) -> int:
        if self.dialect is Dialect.D2021_1:
            return 1
        return int(COMMANDS.get(name, "0.0").partition(".")[0])

    def _take_picture(self, asked: XfsMessage) -> Reply:
        assert self._camera is not None
        if asked.payload.get("camera") != "person":
            return "commandErrorCode", {"errorCode": "cameraNotSupported"}, []
        picture = self._camera()
        if not picture:
            return "commandErrorCode", {"errorCode": "cameraInoperable"}, []
        return "success", {"pictureFile": base64.b64encode(picture).decode()}, []

    def _of_biometric(self, device: SimulatedBiometric, asked: XfsMessage) -> Reply:
        """What the device says, with the events that go with a reading."""
        code, payload = device.carry_out(asked.name, asked.payload)
        names = ("PresentSubjectEvent", "SubjectDetectedEvent", "RemoveSubjectEvent")
        is_reading = asked.name == "Biometric.Read" and code == "success"
        events = [self._event(f"Biometric.{one}", asked, {}) for one in names if is_reading]
        if asked.name == "Biometric.Clear" and code == "success":
            what = {"clearData": asked.payload.get("clearData", "scannedData")}
            events.append(self._event("Biometric.DataClearedEvent", None, what))
        return code, payload, events

    def _nonce(self, asked: XfsMessage) -> Reply:
        return "success", {"commandNonce": self.guard.issue_nonce()}, []

    def _clear_nonce(self, asked: XfsMessage) -> Reply:
        self.guard.clear()
        return "success", {}, []

    def _dispense(self, asked: XfsMessage) -> Reply:
        try:
            ((currency, value),) = dispense_amount(asked).items()
            amount = Money(round(value * 100), currency)
            token = self.guard.authorise(str(asked.payload.get("token", "")), amount)
        except TokenError as error:
            return error.problem.value, {}, []
        except ValueError:
            return "invalidData", {}, []
        started = self._event("CashDispenser.StartDispenseEvent", asked, {})
        self._last, self._last_id = amount, token.id
        done = self.cash.dispense(amount.minor, token.text)
        if done.result is DispenseResult.DISPENSED:
            moved = Money(done.count_fen, currency)
            if done.count_fen <= amount.minor:
                self.guard.confirm(moved)
            payload = {"denomination": {"currencies": {currency: moved.major}}, "bunches": "1"}
            return "success", payload, [started]
        if done.result is DispenseResult.REFUSED:
            return "deviceNotReady", {}, []
        if done.result is DispenseResult.TOKEN_FORGED:
            return "invalidTokenHMAC", {}, []
        return "commandErrorCode", {"errorCode": "notDispensable"}, [started]

    def _present(self, asked: XfsMessage) -> Reply:
        errors = {
            PresentResult.NO_ITEMS: "presentErrorNoItems",
            PresentResult.SOME_ITEMS: "presentErrorItems",
            PresentResult.UNKNOWN: "presentErrorUnknown",
        }
        result = self.cash.present()
        if result is PresentResult.PRESENTED:
            return "success", {}, []
        return "commandErrorCode", {"errorCode": errors[result]}, []

    def _after(self, service: str, asked: XfsMessage, code: str) -> bool:
        """The customer acts once the completion is out."""
        if service == DISPENSER and asked.name == "CashDispenser.Present" and code == "success":
            try:
                is_taken = self.cash.await_taken()
            except DeviceLostError:
                return False
            if is_taken:
                where = {"position": "outDefault"}
                self._tell_all(service, self._event("CashManagement.ItemsTakenEvent", None, where))
        return True

    def _reject(self, asked: XfsMessage) -> Reply:
        if self.cash.stacker_fen == 0:
            return "commandErrorCode", {"errorCode": "noItems"}, []
        if self.cash.reject():
            return "success", {}, []
        return "commandErrorCode", {"errorCode": "cashUnitError"}, []

    def _status(self, asked: XfsMessage) -> Reply:
        said = self.cash.status()
        words = {
            PresentState.PRESENTED: "presented",
            PresentState.RETRACTED: "presented",
            PresentState.NOT_PRESENTED: "notPresented",
            PresentState.UNKNOWN: "unknown",
        }
        is_out = said.state in {PresentState.PRESENTED, PresentState.RETRACTED}
        presented = None if said.count_fen is None else Money(said.count_fen, self._last.currency)
        status = PresentStatus(
            dispense_id=self._last_id,
            dispensed=self._last,
            is_presented=is_out,
            presented=presented if is_out else Money(0, self._last.currency),
            is_retracted=said.state is PresentState.RETRACTED,
            retracted=None,
        )
        nonce = str(asked.payload.get("nonce", ""))
        payload: Payload = {"presentState": words[said.state]}
        with contextlib.suppress(TokenError):
            payload["token"] = seal_present_status(nonce, status, self._key)
        return "success", payload, []

    def _retract(self, asked: XfsMessage) -> Reply:
        count = self.cash.retract().count_fen
        if count is None:
            return "commandErrorCode", {"errorCode": "itemsTaken"}, []
        unit = {"in": {"retracted": {"type100CNY": {"fit": count // 10_000}}}}
        return "success", {"storage": {"unitRETRACT": unit}}, []

    def _pin_entry(self, asked: XfsMessage) -> Reply:
        """Only a count comes out of the pad."""
        least, most = asked.payload.get("minLen"), asked.payload.get("maxLen")
        return self._of_pad(
            ("digits", "completion"),
            do="enter",
            min=least,
            max=most,
            timeout_s=(asked.timeout_ms or 30_000) / 1000,
        )

    def _pin_block(self, asked: XfsMessage) -> Reply:
        ask = asked.payload
        code, payload, _ = self._of_pad(
            ("block",),
            do="block",
            key=ask.get("key"),
            format=ask.get("format"),
            customer=ask.get("customerData"),
        )
        if code == "success":
            payload = {"pinBlock": payload["block"]}
        return code, payload, []

    def _of_pad(self, names: tuple[str, ...], **command: Any) -> Reply:
        if self._pin_pad is None:
            return "unsupportedCommand", {}, []
        try:
            answer = self._pin_pad.ask(**command)
        except OSError:
            return "hardwareError", {}, []
        if "error" in answer:
            return "commandErrorCode", {"errorCode": answer["error"]}, []
        return "success", {name: answer[name] for name in names}, []

    def _read(self, asked: XfsMessage) -> Reply:
        if not self._pan:
            return "commandErrorCode", {"errorCode": "noMedia"}, []
        track2 = base64.b64encode(f"{self._pan}=30122010000012300000".encode()).decode()
        inserted = self._event("CardReader.MediaInsertedEvent", asked, {})
        return "success", {"track2": {"status": "ok", "data": track2}}, [inserted]

    def _move(self, asked: XfsMessage) -> Reply:
        is_retained = str(asked.payload.get("to", "")).startswith("unit")
        if is_retained:
            if self.slot.place in {CardResult.TAKEN, CardResult.ABSENT}:
                return "commandErrorCode", {"errorCode": "noMedia"}, []
            is_kept = self.slot.retain() is CardResult.RETAINED
            return ("success", {}, []) if is_kept else _card_error("mediaJam")
        result = self.slot.eject()
        if result is CardResult.TAKEN:
            self._pan = ""
            return "success", {}, [self._event("CardReader.MediaRemovedEvent", None, {})]
        if result is CardResult.LEFT:
            return "success", {}, []
        return _card_error("noMedia" if result is CardResult.ABSENT else "mediaJam")


def _card_error(code: str) -> Reply:
    return "commandErrorCode", {"errorCode": code}, []
