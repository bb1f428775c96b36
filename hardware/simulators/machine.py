"""A simulated ATM and its bank as one process: devices over XFS4IoT, a host over ISO 8583, people.

``python -m hardware.simulators.machine --folder FOLDER --atm-port N --host-port N``, with
``--pictures FOLDER`` for a Camera service that shows its pictures in turn. The encrypting
PIN pad is a process of its own below this one. A customer comes by one JSON line on the socket
``customer.sock`` in the folder, ``{"pan": …, "pin": "ok" | "wrong" | "blocked"}``: the card goes in
and a simulated finger types that card's PIN, or another. Who sends the line never sees a digit.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hardware.atm.bank import PROFILES, AesCmac, Messages
from hardware.atm.iso8583 import Message
from hardware.atm.money import Money
from hardware.atm.token import TokenError, seal_dispense
from hardware.atm.xfs4iot import Dialect
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.epp import DIGITS, PinPadProcess
from hardware.simulators.host import HostAct, SimulatedHost
from hardware.simulators.pin_crypto import PinPadError, pin_block_0, wrap_pin_key
from hardware.simulators.xfs_atm import XfsAtm

PROFILE: Final = "iso87-ascii-mac"
PIN_KEY_NAME: Final = "PinKey01"
CUSTOMER_SOCKET: Final = "customer.sock"
TOKEN_KEY_FILE: Final = "token.key"  # noqa: S105 - a file name
MAC_KEY_FILE: Final = "mac.key"
PIN_DIGITS: Final = 6
MAX_LINE_BYTES: Final = 4096
_KEY_NAMES: Final = {digit: name for name, digit in DIGITS.items()}


class SimulatedBank:
    """The bank's security module: knows the PIN of each card, and which are locked."""

    def __init__(self, pin_key: bytes, seed: bytes) -> None:
        self._pin_key = pin_key
        self._seed = seed
        self.blocked: set[str] = set()

    def pin_of(self, pan: str) -> str:
        """Return the card's PIN, the same at each visit."""
        digest = hashlib.sha256(self._seed + pan.encode()).digest()
        return f"{int.from_bytes(digest[:8], 'big') % 10**PIN_DIGITS:0{PIN_DIGITS}}"

    def decide(self, message: Message) -> HostAct:
        """Approve a request whose PIN block is right; 55: wrong PIN, 75: too many tries."""
        if message["t"] not in {"0100", "0200", "0400"}:
            return HostAct()
        pan = message.get("2", "")
        if pan in self.blocked:
            return HostAct(code="75", is_booked=False)
        try:
            right = pin_block_0(self.pin_of(pan), pan[-13:-1], self._pin_key)
        except PinPadError:
            return HostAct(code="14", is_booked=False)
        is_right = secrets.compare_digest(message.get("52", "").upper(), right.hex().upper())
        return HostAct() if is_right else HostAct(code="55", is_booked=False)


class Street:
    """Customers: the card goes in, and a finger types."""

    def __init__(self, atm: XfsAtm, pad: PinPadProcess, bank: SimulatedBank) -> None:
        self._atm, self._pad, self._bank = atm, pad, bank

    def come(self, line: bytes) -> str:
        """Let one customer come; returns "ok" or what is wrong with the line."""
        try:
            wish = json.loads(line)
            pan, pin = str(wish["pan"]), str(wish["pin"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return "no customer"
        if not (pan.isascii() and pan.isdigit() and 13 <= len(pan) <= 19):
            return "no card"
        if not self._atm.insert(pan, SimulatedCardSlot(CashFaults(), _quiet)):
            return "a card is in"
        self._bank.blocked.discard(pan)
        if pin == "blocked":
            self._bank.blocked.add(pan)
        digits = self._bank.pin_of(pan)
        if pin == "wrong":
            digits = f"{(int(digits) + 1) % 10**PIN_DIGITS:0{PIN_DIGITS}}"
        self._pad.press(*(_KEY_NAMES[digit] for digit in digits), "enter")
        return "ok"


def _quiet(name: str) -> None:
    """Nobody is told what the devices did."""


def serve_customers(listener: socket.socket, street: Street) -> None:
    """Take one line from each connection, until the listener is closed."""
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        with line, contextlib.suppress(OSError):
            line.settimeout(5)
            raw = b""
            while b"\n" not in raw and len(raw) < MAX_LINE_BYTES and (more := line.recv(1024)):
                raw += more
            line.sendall(street.come(raw).encode() + b"\n")


def _key(path: Path, size: int) -> bytes:
    """Keep a key over restarts: what agent and simulated devices have agreed on."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(size))
    return path.read_bytes()


def _camera(pictures: Path | None) -> Callable[[], bytes] | None:
    """Return what takes the next picture of a folder, by name; None for no camera."""
    if pictures is None:
        return None
    files = itertools.cycle(sorted(pictures.iterdir()))
    return lambda: next(files).read_bytes()


def run(
    folder: Path, atm_port: int, host_port: int, dialect: Dialect, pictures: Path | None = None
) -> None:
    """Serve until asked to stop."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    token_key, mac_key = _key(folder / TOKEN_KEY_FILE, 32), _key(folder / MAC_KEY_FILE, 16)
    protection, pin_key = secrets.token_bytes(32), secrets.token_bytes(16)
    (folder / "keypad.sock").unlink(missing_ok=True)
    (folder / CUSTOMER_SOCKET).unlink(missing_ok=True)
    kbpk_file = folder / "kbpk"
    kbpk_file.touch(mode=0o600)
    kbpk_file.write_text(protection.hex(), encoding="ascii")
    bank = SimulatedBank(pin_key, _key(folder / "cards.key", 32))
    messages = Messages(PROFILES[PROFILE], AesCmac(mac_key))

    def make_token(message: Message) -> str:
        try:
            return seal_dispense(message.get("61", ""), Money(int(message["4"]), "CNY"), token_key)
        except TokenError:
            return ""

    cash = SimulatedDispenser(CashFaults(), _quiet)
    slot = SimulatedCardSlot(CashFaults(), _quiet)
    with (
        PinPadProcess(folder, kbpk_file) as pad,
        XfsAtm(
            cash,
            slot,
            dialect,
            token_key=token_key,
            pin_pad=pad,
            camera=_camera(pictures),
            port=atm_port,
        ) as atm,
        SimulatedHost(messages, bank.decide, make_token, port=host_port) as host,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
    ):
        pad.ask(do="import", name=PIN_KEY_NAME, block=wrap_pin_key(pin_key, protection))
        listener.bind(str(folder / CUSTOMER_SOCKET))
        listener.listen(4)
        people = threading.Thread(
            target=serve_customers, args=(listener, Street(atm, pad, bank)), daemon=True
        )
        people.start()
        event = {"event": "machine_started", "publisher": atm.url(), "host_port": host.port}
        print(json.dumps(event), file=sys.stderr, flush=True)
        stopping.wait()
        listener.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--atm-port", type=int, default=5846)
    parser.add_argument("--host-port", type=int, required=True)
    parser.add_argument("--dialect", type=Dialect, choices=list(Dialect), default=Dialect.CURRENT)
    parser.add_argument("--pictures", type=Path, help="folder of what the camera sees, in turn")
    args = parser.parse_args()
    run(args.folder, args.atm_port, args.host_port, args.dialect, args.pictures)


if __name__ == "__main__":
    main()
