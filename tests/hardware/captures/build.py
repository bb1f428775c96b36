"""Builds captures byte by byte, so that tests know every offset in them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def pcap(
    packets: Iterable[bytes],
    *,
    link_type: int = 148,
    order: str = "<",
    is_nano: bool = False,
    start_s: int = 1_700_000_000,
    fraction: int = 123_456,
) -> bytes:
    """Packets one second apart in a classic pcap."""
    magic = 0xA1B23C4D if is_nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65_535, link_type)
    for index, data in enumerate(packets):
        size = len(data)
        out += struct.pack(order + "IIII", start_s + index, fraction, size, size) + data
    return out


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link_type: int = 148, *, options: bytes = b"", order: str = "<", snap: int = 0
) -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, snap) + options, order)


def enhanced(data: bytes, ticks: int, *, index: int = 0, order: str = "<") -> bytes:
    head = struct.pack(
        order + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data)
    )
    return block(6, head + data, order)


def pcapng(packets: Iterable[bytes], *, order: str = "<") -> bytes:
    """Packets one second apart in a pcapng with a microsecond interface."""
    out = section(order) + interface(order=order)
    for index, data in enumerate(packets):
        out += enhanced(data, (1_700_000_000 + index) * 1_000_000, order=order)
    return out


def udp(payload: bytes, *, port: int = 4729) -> bytes:
    return struct.pack(">HHHH", 40_000, port, 8 + len(payload), 0) + payload


def ipv4(payload: bytes, *, protocol: int = 17, fragment: int = 0) -> bytes:
    total = 20 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x45, 0, total, 0, fragment, 64, protocol, 0)
    return head + b"\x7f\x00\x00\x01" * 2 + payload


def ipv6(payload: bytes) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(payload), 17, 64) + bytes(32) + payload


def gsmtap(
    payload: bytes,
    *,
    kind: int,
    sub_type: int,
    channel: int = 0,
    signal: int = 0,
    version: int = 2,
    words: int = 4,
) -> bytes:
    head = struct.pack(
        ">BBBBHbbIBBBB", version, words, kind, 0, channel, signal, 0, 0, sub_type, 0, 0, 0
    )
    return head + payload


def in_chunks(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut data at the given places (taken modulo its length)."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def fed(
    feed: Callable[[bytes], list[T]], close: Callable[[], list[T]], chunks: Iterable[bytes]
) -> list[T]:
    """Everything a codec says about the chunks."""
    items: list[T] = []
    for chunk in chunks:
        items += feed(chunk)
    return items + close()
