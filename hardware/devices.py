"""What an attached USB device is by its identity, and what this system would do with it.

The identity of a maker's own device is enough to talk to it; that of a converter chip says nothing
of what hangs behind it, and nothing is written to such a port unasked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from hardware.serial.ports import AttachedPort


class Trust(StrEnum):
    """What may be written to a port."""

    KNOWN = "known"
    """The maker's own identity: its commands are safe."""
    OTHER_PORT = "other_port"
    """A port of a known device that is not for commands."""
    UNKNOWN = "unknown"
    """Nothing, unless a person asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a device."""

    what: str
    trust: Trust
    kind: str | None = None
    """Sensor kind of the agent's configuration."""
    advice: str = ""


def keep_away(readers: Iterable[str]) -> str:
    """What to do about a program that takes every new port for a modem; empty: none of those."""
    if not any("modemmanager" in reader.lower() for reader in readers):
        return ""
    return "ModemManager takes its answers: install deploy/udev/60-qianshao.rules, plug in again"


_CONVERTER = "a USB converter: says nothing of what hangs behind it"
_ASK = "nothing is written to it unasked; rf scan --probe PORT asks"


@dataclass(frozen=True, slots=True)
class _Modem:
    """A maker of modems: which USB interfaces take AT commands and which speaks DIAG."""

    maker: str
    family: str
    commands: frozenset[int]
    diag: int | None = None


def _modem(maker: str, family: str, commands: tuple[int, ...], diag: int | None = None) -> _Modem:
    return _Modem(maker, family, frozenset(commands), diag)


_MODEMS: dict[tuple[int, int | None], _Modem] = {
    # the second number is the product, None: any of this maker
    (0x2C7C, None): _modem("Quectel", "quectel", (2, 3), diag=0),
    (0x1E0E, 0x9001): _modem("SIMCom SIM7xxx", "simcom", (2, 3), diag=0),
    (0x1E0E, 0x9011): _modem("SIMCom A76xx", "simcom", (2, 3)),
    (0x1BC7, None): _modem("Telit", "telit", (0, 2, 3, 4, 5, 6)),
    (0x1546, 0x1102): _modem("u-blox LISA", "ublox", (0, 2, 4)),
    (0x1546, 0x1141): _modem("u-blox TOBY", "ublox", (0, 2, 4)),
}
_OTHERS: dict[tuple[int, int], Known] = {
    (0x1546, 0x01A7): Known(what="u-blox 7 GNSS receiver", trust=Trust.KNOWN, kind="nmea"),
    (0x1546, 0x01A8): Known(what="u-blox 8 GNSS receiver", trust=Trust.KNOWN, kind="nmea"),
    (0x2E8A, 0x0005): Known(
        what="RP2040 with MicroPython, perhaps the sniffer board",
        trust=Trust.UNKNOWN,
        kind="board",
    ),
    (0x303A, 0x4001): Known(
        what="ESP32-S3 with MicroPython, perhaps the sniffer board",
        trust=Trust.UNKNOWN,
        kind="board",
    ),
    (0x0483, 0x5740): Known(
        what="STM32 virtual port: tinySA, and many other things",
        trust=Trust.UNKNOWN,
        kind="tinysa",
    ),
    (0x10C4, 0xEA60): Known(what=f"CP210x, {_CONVERTER}", trust=Trust.UNKNOWN, advice=_ASK),
    (0x1A86, 0x7523): Known(what=f"CH340, {_CONVERTER}", trust=Trust.UNKNOWN, advice=_ASK),
    (0x1A86, 0x55D4): Known(what=f"CH9102, {_CONVERTER}", trust=Trust.UNKNOWN, advice=_ASK),
    (0x0403, 0x6001): Known(what=f"FT232, {_CONVERTER}", trust=Trust.UNKNOWN, advice=_ASK),
    (0x0403, 0x6015): Known(what=f"FT231X, {_CONVERTER}", trust=Trust.UNKNOWN, advice=_ASK),
    (0x067B, 0x2303): Known(what=f"PL2303, {_CONVERTER}", trust=Trust.UNKNOWN, advice=_ASK),
}


def known(port: AttachedPort) -> Known:
    """Say what a port is by its USB identity."""
    if port.vid is None or port.pid is None:
        return Known(what="not on USB", trust=Trust.UNKNOWN, advice=_ASK)
    modem = _MODEMS.get((port.vid, port.pid)) or _MODEMS.get((port.vid, None))
    if modem is not None:
        return _known_modem(modem, port)
    other = _OTHERS.get((port.vid, port.pid))
    if other is not None and other.kind is not None:
        doubt = "" if other.trust is Trust.KNOWN else "if that is what it is: "
        line = f'kind = "{other.kind}", url = "{port.stable_url}"'
        return replace(other, advice=f"{doubt}{line}")
    if other is not None:
        return other
    return Known(what=port.product or "unknown", trust=Trust.UNKNOWN, advice=_ASK)


def _known_modem(modem: _Modem, port: AttachedPort) -> Known:
    if port.interface is not None and port.interface == modem.diag:
        return Known(
            what=f"{modem.maker} modem, Qualcomm DIAG port",
            trust=Trust.OTHER_PORT,
            kind="diag",
            advice=f'kind = "diag", url = "{port.stable_url}"',
        )
    if port.interface is None or port.interface in modem.commands:
        return Known(
            what=f"{modem.maker} modem, AT port",
            trust=Trust.KNOWN,
            kind=modem.family,
            advice=f'kind = "{modem.family}", url = "{port.stable_url}"',
        )
    return Known(
        what=f"{modem.maker} modem, interface {port.interface}: not for commands",
        trust=Trust.OTHER_PORT,
        advice="leave it alone",
    )
