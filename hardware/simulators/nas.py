"""A synthetic recording of a terminal's NAS messages, for a machine without recordings.

Everything in it is of our own invention: test network 001-01, no IMSI, a GUTI of zeros, numbers
from a hash. Link type 148 (USER1), one NAS message a packet, as published attack traces have it.

    python -m hardware.simulators.nas OUT.pcap [--episodes N] [--failures K] [--start UNIX]
"""

from __future__ import annotations

import argparse
import hashlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardware.captures.plmn import plmn_to_bcd
from hardware.captures.reader import USER1

TEST_PLMN = "001-01"
DEFAULT_START_US = 1_767_225_600 * 1_000_000
"""2026-01-01T00:00:00Z."""

_STEP_US = 250_000
_PAUSE_US = 30_000_000
_SNAPSHOT_BYTES = 65_535
_MAC_FAILURE = b"\x14"  # EMM cause 20, TS 24.301 annex A

_AREA = plmn_to_bcd(TEST_PLMN) + b"\x00\x01"
_GUTI = b"\xf6" + plmn_to_bcd(TEST_PLMN) + bytes(7)
_EMM = b"\x07"


def ordinary_capture(*, start_us: int = DEFAULT_START_US, attaches: int = 1) -> bytes:
    """Return a capture of ordinary attaches: authenticated, ciphered with EEA2, accepted."""
    return _capture(start_us, [_ordinary_attach(number) for number in range(attaches)])


def attack_capture(
    *, start_us: int = DEFAULT_START_US, episodes: int = 1, failures: int = 4
) -> bytes:
    """Return a capture with one ordinary attach and then the episodes of a fake base station.

    In an episode the terminal attaches and refuses ``failures`` authentications in a row, because
    their MAC is not of its home network (EMM cause 20).
    """
    sessions = [_ordinary_attach(0)]
    sessions += [_episode(number, failures) for number in range(episodes)]
    return _capture(start_us, sessions)


def _capture(start_us: int, sessions: Sequence[Sequence[bytes]]) -> bytes:
    """Write sessions as a classic pcap: messages a quarter second apart, sessions half a minute."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAPSHOT_BYTES, USER1)
    return header + b"".join(_records(start_us, sessions))


def _records(at_us: int, sessions: Sequence[Sequence[bytes]]) -> Iterator[bytes]:
    for session in sessions:
        for message in session:
            seconds, fraction = divmod(at_us, 1_000_000)
            yield struct.pack("<IIII", seconds, fraction, len(message), len(message)) + message
            at_us += _STEP_US
        at_us += _PAUSE_US


def _ordinary_attach(number: int) -> list[bytes]:
    return [
        _attach_request(),
        _authentication_request(f"ordinary {number}"),
        _EMM + b"\x53\x08" + _invented(f"result {number}", 8),  # authentication response
        # security mode command in its integrity-protected shell: EEA2, EIA2, replayed capabilities
        b"\x37" + _invented(f"mac {number}", 4) + b"\x00" + _EMM + b"\x5d\x22\x00\x02\xe0\xe0",
        b"\x47" + _invented(f"complete {number}", 12),  # ciphered: security mode complete
        _attach_accept(),
        _EMM + b"\x43\x00\x03\x52\x00\xc2",  # attach complete with its bearer's acceptance
    ]


def _episode(number: int, failures: int) -> list[bytes]:
    messages = [_attach_request()]
    for attempt in range(failures):
        messages.append(_authentication_request(f"forged {number} {attempt}"))
        messages.append(_EMM + b"\x5c" + _MAC_FAILURE)
    return messages


def _attach_request() -> bytes:
    """EPS attach without a key, a GUTI, capabilities, a PDN connectivity request (8.2.4)."""
    return (
        _EMM + b"\x41\x71" + _counted(_GUTI) + _counted(b"\xe0\xe0") + b"\x00\x04\x02\x01\xd0\x11"
    )


def _authentication_request(name: str) -> bytes:
    """Key set 0, RAND of sixteen octets and AUTN (8.2.7)."""
    return _EMM + b"\x52\x00" + _invented(f"rand {name}", 16) + _counted(_invented(name, 16))


def _attach_accept() -> bytes:
    """EPS only, T3412 of 54 minutes, one tracking area, a default bearer (8.2.1, 8.3.6)."""
    areas = b"\x20" + _AREA  # form 1: consecutive areas of one PLMN
    bearer = b"\x52\x01\xc1" + _counted(b"\x09")  # QCI 9
    bearer += _counted(_counted(b"test")) + _counted(b"\x01\x0a\x00\x00\x01")  # APN, IPv4 address
    container = len(bearer).to_bytes(2) + bearer
    return _EMM + b"\x42\x01\x49" + _counted(areas) + container


def _counted(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def _invented(name: str, length: int) -> bytes:
    return hashlib.sha256(f"qianshao simulated nas {name}".encode()).digest()[:length]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a capture to a file; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m hardware.simulators.nas",
        description="Write a synthetic capture of NAS messages: an attach, then attack episodes.",
    )
    parser.add_argument("out", type=Path, metavar="OUT.pcap")
    parser.add_argument("--episodes", type=int, default=1, help="0: only the ordinary attach")
    parser.add_argument("--failures", type=int, default=4, help="MAC failures in each episode")
    parser.add_argument(
        "--start", type=int, default=DEFAULT_START_US // 1_000_000, help="Unix time, seconds"
    )
    options = parser.parse_args(arguments)
    for name in ("episodes", "failures", "start"):
        if getattr(options, name) < 0:
            parser.error(f"--{name} must not be negative")
    capture = attack_capture(
        start_us=options.start * 1_000_000, episodes=options.episodes, failures=options.failures
    )
    try:
        options.out.write_bytes(capture)
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {options.out}: {error.strerror}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
