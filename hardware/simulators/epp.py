"""A simulated encrypting PIN pad: a process of its own that alone sees digits and keys.

``python -m hardware.simulators.epp --keypad SOCKET --protection-key FILE``. Commands come as JSON
lines on standard input, answers go to standard output; key presses come over the keypad's socket,
which is the customer's finger. No answer ever holds a digit or a key. The protection key's file
is read once and deleted: it is what a key-loading ceremony leaves in the pad.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from hardware.simulators.pin_crypto import (
    KeyBlock,
    PinPadError,
    pin_block_0,
    pin_block_4,
    unwrap,
)

DIGITS: Final = {
    name: str(digit)
    for digit, name in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
}
ENDS: Final = ("enter", "cancel")
_PIN_USES: Final = ("P0",)
_ENCRYPTING_MODES: Final = ("E", "B", "N")


class PinPad:
    """Keys and digits; nothing here leaves but counts, check values and encrypted blocks."""

    def __init__(self, protection_key: bytes, press: Callable[[float], str | None]) -> None:
        """``press`` waits so many seconds for one key and names it; None: nobody pressed."""
        self._protection_key = protection_key
        self._press = press
        self._keys: dict[str, KeyBlock] = {}
        self._pin = ""

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command; an error is a word of the standard and nothing more."""
        actions = {
            "import": self._import,
            "enter": self._enter,
            "block": self._block,
            "reset": self._reset,
        }
        action = actions.get(str(command.get("do")))
        if action is None:
            return {"error": "unsupportedCommand"}
        try:
            return action(command)
        except PinPadError as error:
            return {"error": str(error)}

    def _import(self, command: dict[str, Any]) -> dict[str, Any]:
        block = unwrap(str(command.get("block")), self._protection_key)
        if block.usage not in _PIN_USES or block.mode not in _ENCRYPTING_MODES:
            raise PinPadError("useViolation")
        self._keys[str(command.get("name"))] = block
        return {"kcv": block.check_value[:3].hex().upper()}

    def _enter(self, command: dict[str, Any]) -> dict[str, Any]:
        self._pin = ""
        least, most = int(command.get("min", 4)), int(command.get("max", 12))
        while True:
            key = self._press(float(command.get("timeout_s", 30)))
            if key is None:
                self._pin = ""
                raise PinPadError("entryTimeout")
            if key in DIGITS and len(self._pin) < most:
                self._pin += DIGITS[key]
            elif key == "clear":
                self._pin = ""
            elif key == "cancel" or (key == "enter" and len(self._pin) >= least):
                digits, self._pin = len(self._pin), "" if key == "cancel" else self._pin
                return {"digits": digits, "completion": key}

    def _block(self, command: dict[str, Any]) -> dict[str, Any]:
        pin, self._pin = self._pin, ""  # one block for one entry
        if not pin:
            raise PinPadError("noPin")
        found = self._keys.get(str(command.get("key")))
        if found is None:
            raise PinPadError("keyNotFound")
        customer, form = str(command.get("customer")), command.get("format")
        if not (customer.isascii() and customer.isdigit()):
            raise PinPadError("invalidData")
        if form == "iso4" and found.algorithm == "A":
            block = pin_block_4(pin, customer, found.key)
        elif form in {"iso0", "ansi"} and found.algorithm == "T" and len(customer) == 12:
            block = pin_block_0(pin, customer, found.key)
        else:
            raise PinPadError("formatNotSupported")
        return {"block": base64.b64encode(block).decode("ascii")}

    def _reset(self, command: dict[str, Any]) -> dict[str, Any]:
        self._pin = ""
        return {}


class _Keypad:
    """Key names, one a line, from whoever connects to the socket."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(1)
        self._line: socket.socket | None = None
        self._buffer = b""

    def press(self, timeout_s: float) -> str | None:
        try:
            while b"\n" not in self._buffer:
                if self._line is None:
                    self._listener.settimeout(timeout_s)
                    self._line = self._listener.accept()[0]
                self._line.settimeout(timeout_s)
                more = self._line.recv(256)
                if not more:
                    self._line.close()
                    self._line = None
                self._buffer += more
        except TimeoutError:
            return None
        key, _, self._buffer = self._buffer.partition(b"\n")
        return key.decode("ascii", "replace")


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keypad", type=Path, required=True)
    parser.add_argument("--protection-key", type=Path, required=True)
    args = parser.parse_args()
    protection_key = bytes.fromhex(args.protection_key.read_text(encoding="ascii"))
    args.protection_key.unlink()
    pad = PinPad(protection_key, _Keypad(args.keypad).press)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            command = json.loads(line)
        except ValueError:
            command = {}
        print(json.dumps(pad.answer(command if isinstance(command, dict) else {})), flush=True)


class PinPadProcess:
    """The other side: starts the pad and asks it; holds no digit and no key."""

    def __init__(self, folder: Path, protection_key_file: Path) -> None:
        self.keypad = folder / "keypad.sock"
        self._lock = threading.Lock()
        command = [sys.executable, "-m", "hardware.simulators.epp"]
        command += ["--keypad", str(self.keypad), "--protection-key", str(protection_key_file)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()

    def __enter__(self) -> PinPadProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; raises OSError if the pad is gone."""
        with self._lock:
            if self._process.stdin is None:
                raise OSError("no PIN pad")
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise OSError("the PIN pad is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def press(self, *keys: str) -> None:
        """Be the customer's finger."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as finger:
            finger.connect(str(self.keypad))
            finger.sendall("".join(f"{key}\n" for key in keys).encode("ascii"))


if __name__ == "__main__":
    main()
