"""The simulated PIN pad as a process: digits go in by finger, only a block comes out."""

from __future__ import annotations

import base64
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from hardware.atm.xfs4iot import Dialect, pin_block_payload, pin_entry_payload
from hardware.atm.xfs_client import XfsClient
from hardware.simulators import pin_crypto as crypto
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.epp import PinPad, PinPadProcess
from hardware.simulators.xfs_atm import XfsAtm
from hardware.simulators.xfs_services import PIN_PAD

KBPK = bytes(range(32))
PIN_KEY = bytes.fromhex("3F419E1CB7079442AA37474C2EFBF8B8")
PAN = "6217000000000000012"
PIN = ("two", "seven", "one", "eight", "two", "eight")


def wrapped(key: bytes, usage: str = "P0", mode: str = "E") -> str:
    """A version D block, written independently of the reader under test."""
    plain = (len(key) * 8).to_bytes(2, "big") + key + bytes(-(len(key) + 2) % 16)
    header = f"D{16 + 2 * len(plain) + 32:04}{usage}A{mode}00E0000"
    mac = crypto.cmac(crypto._kdf(KBPK, 1, is_aes=True), header.encode() + plain, is_aes=True)
    done = Cipher(AES(crypto._kdf(KBPK, 0, is_aes=True)), CBC(mac)).encryptor()
    return header + (done.update(plain) + done.finalize() + mac).hex().upper()


def opened(block: bytes) -> str:
    """What the bank's security module finds in a format 4 block."""
    pan_field = bytes.fromhex(f"{len(PAN) - 12}{PAN}".ljust(32, "0"))
    inner = crypto.decrypt(PIN_KEY, block, is_aes=True)
    text = crypto.decrypt(
        PIN_KEY, bytes(a ^ b for a, b in zip(inner, pan_field, strict=True)), is_aes=True
    ).hex()
    return text[2 : 2 + int(text[1], 16)]


@pytest.fixture
def pad() -> Iterator[PinPadProcess]:
    with tempfile.TemporaryDirectory() as name:
        key_file = Path(name) / "kbpk"
        key_file.write_text(KBPK.hex(), encoding="ascii")
        with PinPadProcess(Path(name), key_file) as process:
            assert not key_file.exists()
            assert process.ask(do="import", name="PinKey01", block=wrapped(PIN_KEY)) == {
                "kcv": crypto.cmac(PIN_KEY, bytes(16), is_aes=True)[:3].hex().upper()
            }
            yield process


@pytest.mark.parametrize("dialect", Dialect)
def test_a_pin_over_xfs_is_a_count_and_a_block(pad: PinPadProcess, dialect: Dialect) -> None:
    cash, slot = (
        SimulatedDispenser(CashFaults(), lambda name: None),
        SimulatedCardSlot(CashFaults(), lambda name: None),
    )
    with XfsAtm(cash, slot, dialect, token_key=bytes(32), pin_pad=pad) as atm:
        client = XfsClient(atm.url(PIN_PAD), dialect, timeout_s=10)
        finger = threading.Thread(target=pad.press, args=(*PIN, "enter"))
        finger.start()
        entered = client.ask("Keyboard.PinEntry", pin_entry_payload())
        finger.join()
        block = client.ask("PinPad.GetPinBlock", pin_block_payload(PAN, "PinKey01", dialect))
        again = client.ask("PinPad.GetPinBlock", pin_block_payload(PAN, "PinKey01", dialect))
        client.close()
    assert entered.payload == {"digits": 6, "completion": "enter"}
    assert opened(base64.b64decode(block.payload["pinBlock"])) == "271828"
    assert again.error_code == "noPin"


def test_keys_have_uses_and_names(pad: PinPadProcess) -> None:
    wrong = pad.ask(do="import", name="k", block=wrapped(PIN_KEY, usage="D0"))
    assert wrong == {"error": "useViolation"}
    assert pad.ask(do="import", name="k", block=wrapped(PIN_KEY, mode="D")) == wrong
    assert "error" in pad.ask(do="import", name="k", block=wrapped(PIN_KEY)[:-1] + "X")
    assert pad.ask(do="show", name="PinKey01") == {"error": "unsupportedCommand"}
    pad.press(*PIN, "enter")
    assert pad.ask(do="enter", min=6, max=6)["digits"] == 6
    missing = pad.ask(do="block", key="other", format="iso4", customer=PAN)
    assert missing == {"error": "keyNotFound"}


def fingers(*keys: str | None) -> PinPad:
    pressed = list(keys)
    pad = PinPad(KBPK, lambda timeout_s: pressed.pop(0) if pressed else None)
    pad.answer({"do": "import", "name": "k", "block": wrapped(PIN_KEY)})
    return pad


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ((*PIN, "enter"), {"digits": 6, "completion": "enter"}),
        (("one", "clear", *PIN, "enter"), {"digits": 6, "completion": "enter"}),
        ((*PIN, "nine", "enter"), {"digits": 6, "completion": "enter"}),
        (("one", "enter", "cancel"), {"digits": 1, "completion": "cancel"}),
        ((*PIN,), {"error": "entryTimeout"}),
    ],
)
def test_entries(keys: tuple[str, ...], answer: dict[str, Any]) -> None:
    pad = fingers(*keys)
    assert pad.answer({"do": "enter", "min": 6, "max": 6}) == answer
    if answer.get("completion") != "enter":
        block = pad.answer({"do": "block", "key": "k", "format": "iso4", "customer": PAN})
        assert block == {"error": "noPin"}


NAMES = st.sampled_from(["do", "key", "format", "customer", "name", "block"])
VALUES = st.sampled_from(["enter", "block", "import", "k", "iso4", "iso0", PAN, ""])


@given(st.dictionaries(NAMES, VALUES))
def test_no_command_brings_out_a_digit_or_a_key(command: dict[str, Any]) -> None:
    pad = fingers(*PIN, "enter")
    pad.answer({"do": "enter", "min": 6, "max": 6})
    said = repr(pad.answer(command))
    assert "271828" not in said
    assert PIN_KEY.hex() not in said.lower()
