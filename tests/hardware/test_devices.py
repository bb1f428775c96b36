"""What a USB identity says of a port, and what a device may be asked; udev's rules parse."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.clock import SystemClock
from hardware import identify as identify_module
from hardware.board.frames import encode
from hardware.devices import Trust, known
from hardware.identify import Identity, NotIdentified, identify
from hardware.serial.port import PortOpened, SerialPort
from hardware.serial.ports import AttachedPort
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.peers import PEERS
from hardware.simulators.scene import CENTRE, GENUINE, RadioScene

RULES = Path(__file__).parents[2] / "deploy" / "udev" / "60-qianshao.rules"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify_module, "LISTEN_S", 0.2)
    monkeypatch.setattr(identify_module, "ANSWER_S", 1.0)


def usb(vid: int, pid: int, interface: int | None = None, serial: str | None = "S") -> AttachedPort:
    return AttachedPort(path="/dev/ttyUSB0", vid=vid, pid=pid, serial=serial, interface=interface)


@pytest.mark.parametrize(
    ("port", "kind", "trust", "what"),
    [
        (usb(0x2C7C, 0x0125, 2), "quectel", Trust.KNOWN, "Quectel modem, AT port"),
        (usb(0x2C7C, 0x0125, 0), "diag", Trust.OTHER_PORT, "Quectel modem, Qualcomm DIAG port"),
        (usb(0x2C7C, 0x0125, 1), None, Trust.OTHER_PORT, "interface 1: not for commands"),
        (usb(0x1E0E, 0x9001, 2), "simcom", Trust.KNOWN, "SIMCom SIM7xxx modem, AT port"),
        (usb(0x1BC7, 0x1201, 3), "telit", Trust.KNOWN, "Telit modem"),
        (usb(0x1A86, 0x7523, serial=None), None, Trust.UNKNOWN, "CH340"),
        (usb(0x0483, 0x5740), "tinysa", Trust.UNKNOWN, "many other things"),
        (usb(0xFFFF, 0x0001), None, Trust.UNKNOWN, "unknown"),
        (AttachedPort(path="/dev/ttyS0"), None, Trust.UNKNOWN, "not on USB"),
    ],
)
def test_an_identity_is_worth_what_its_maker_says(
    port: AttachedPort, kind: str | None, trust: Trust, what: str
) -> None:
    found = known(port)
    assert (found.kind, found.trust) == (kind, trust)
    assert what in found.what
    if kind is not None:
        assert port.stable_url in found.advice


async def asked(url: str, *, may_ask: bool) -> Identity:
    async with SerialPort(url, clock=SystemClock()) as port, asyncio.timeout(30):
        assert isinstance(await port.next_event(), PortOpened)
        return await identify(port, may_ask=may_ask)


@pytest.mark.parametrize("peer", PEERS)
def test_a_modem_says_who_it_is(peer: str, tmp_path: Path) -> None:
    scene = RadioScene(GENUINE, CENTRE, lambda: 0.0)
    with SimulatedModem(PEERS[peer](scene), tmp_path / "m") as modem:
        identity = asyncio.run(asked(str(modem.link), may_ask=True))
    assert identity.kind == peer.partition("_")[0]
    assert identity.has_been_asked
    assert PEERS[peer](scene).revision in identity.words


@contextmanager
def device(says: bytes = b"", *, answer: bytes = b"") -> Iterator[tuple[str, bytearray]]:
    """A device that says something by itself and answers anything with one thing."""
    master, slave = os.openpty()
    tty.setraw(slave)
    written, is_over = bytearray(), threading.Event()

    def run() -> None:
        os.set_blocking(master, False)
        while not is_over.wait(0.02):
            if says:
                os.write(master, says)
            try:
                data = os.read(master, 1000)
            except BlockingIOError:
                continue
            written.extend(data)
            if answer:
                os.write(master, answer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield os.ttyname(slave), written
    finally:
        is_over.set()
        thread.join()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (b"$GNGGA,092751.00,,,,,0,00,99.99,,,,,,*7D\r\n", "nmea"),
        (b'+QENG: "servingcell","SEARCH"\r\n', "quectel"),
        (b"PA201\r\nSs50.2,0,0\r\n", "fm_tuner"),
        (b"\0" + encode(0x52, 1, b"x"), "board"),
        (b"1795579200000, 045, 42.5, -31.0, 92300000, UCA, 100, V, 25.0, 102.7\n", "kraken"),
        (b"ch> ", "tinysa"),
    ],
)
@pytest.mark.parametrize("may_ask", [False, True])
def test_who_speaks_is_known_without_a_byte_written(says: bytes, kind: str, may_ask: bool) -> None:
    with device(b"\r\n" + says) as (path, written):
        identity = asyncio.run(asked(path, may_ask=may_ask))
    assert (identity.kind, identity.has_been_asked) == (kind, False)
    assert written == b""


def test_nothing_is_written_to_an_unknown_port_without_leave() -> None:
    with device() as (path, written):
        with pytest.raises(NotIdentified, match="nothing was written"):
            asyncio.run(asked(path, may_ask=False))
        assert written == b""
    with device(b"\x00\x11\xfe\x00") as (path, written):
        identity = asyncio.run(asked(path, may_ask=False))
        assert identity.kind is None
        assert "binary data that no codec here knows" in identity.words
        assert written == b""


def test_who_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify_module, "ANSWER_S", 0.2)
    with device() as (path, written):
        with pytest.raises(NotIdentified, match=r"left AT\+CGMI unanswered"):
            asyncio.run(asked(path, may_ask=True))
        assert written == b"AT+CGMI\r"


def test_a_shell_and_a_modem_of_another_maker_are_named() -> None:
    with device(answer=b"AT+CGMI?\r\nch> ") as (path, _):
        assert asyncio.run(asked(path, may_ask=True)).kind == "tinysa"
    other = b"\r\nCinterion 861234567890123\r\n\r\nOK\r\n"
    with device(answer=other) as (path, _):
        identity = asyncio.run(asked(path, may_ask=True))
    assert identity.kind is None
    assert "Cinterion" in identity.words
    assert "861234567890123" not in identity.words


_TOKEN = re.compile(
    r"(?:ACTION|SUBSYSTEMS?|ATTRS?\{[\w/]+\}|ENV\{\w+\}|GROUP|MODE|SYMLINK|GOTO|LABEL|IMPORT\{\w+\})"
    r'(?:==|=|\+=)"[^"]*"'
)


def test_every_udev_rule_parses_and_no_goto_leads_nowhere() -> None:
    labels, jumps = set(), set()
    for line in RULES.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        for token in line.split(", "):
            assert _TOKEN.fullmatch(token), line
        labels |= set(re.findall(r'LABEL="(\w+)"', line))
        jumps |= set(re.findall(r'GOTO="(\w+)"', line))
    assert labels == jumps


def test_modem_manager_leaves_every_known_modem_alone() -> None:
    text = RULES.read_text(encoding="utf-8")
    for vendor in ("2c7c", "1e0e", "1bc7", "1546"):
        assert f'ATTR{{idVendor}}=="{vendor}", ENV{{ID_MM_DEVICE_IGNORE}}="1"' in text
