"""Lists of GSM carriers in 16 octets (TS 44.018 sections 10.5.2.1b, 10.5.2.22 and 10.5.2.22a)."""

from __future__ import annotations

from hardware.captures.refusal import Refused

LIST_BYTES = 16
_CHANNELS = 1024


def is_continued(description: bytes) -> bool:
    """Whether a list is said to go on in SI2bis or SI5bis (EXT-IND, section 10.5.2.22)."""
    return bool(description and description[0] & 0x20)


def carriers(description: bytes) -> tuple[int, ...]:
    """Return the ARFCNs of a cell channel or neighbour cell description, ascending.

    The bits beside the format (EXT-IND, BA-IND, multiband reporting) say nothing of it and are left
    out of it. Raises Refused for an unknown format.
    """
    if len(description) < LIST_BYTES:
        raise Refused(f"list of carriers of {len(description)} bytes, {LIST_BYTES} are needed")
    value = int.from_bytes(description[:LIST_BYTES])
    head = description[0]
    if head & 0xC0 == 0x00:  # bit map 0: ARFCN 124 to 1
        return tuple(n for n in range(1, 125) if value >> (n - 1) & 1)
    form = head & 0xCE
    origin = (head & 1) << 9 | description[1] << 1 | description[2] >> 7
    if form == 0x8E:  # variable bit map: ORIG-ARFCN and 111 bits relative to it
        offsets = [n for n in range(1, 112) if value >> (111 - n) & 1]
        return _from_origin(origin, [0, *offsets])
    if form & 0xC8 == 0x80:  # range 1024: F0 says whether ARFCN 0 belongs to the list
        found = _range(_words(value, 122, 10), 1024)
        return tuple(sorted({*found, *([0] if head & 0x04 else [])}))
    if form in {0x88, 0x8A, 0x8C}:  # ranges 512, 256 and 128, with ORIG-ARFCN
        size = {0x88: 512, 0x8A: 256, 0x8C: 128}[form]
        return _from_origin(origin, [0, *_range(_words(value, 111, size.bit_length() - 1), size)])
    raise Refused(f"list of carriers of unknown format 0x{head:02x}")


def _from_origin(origin: int, offsets: list[int]) -> tuple[int, ...]:
    return tuple(sorted({(origin + offset) % _CHANNELS for offset in offsets}))


def _words(value: int, bits: int, first_width: int) -> list[int]:
    """Cut W(1), W(2)... out of the lowest bits, up to the first that is zero.

    One word has the first width, two have one bit less, four two bits less...
    """
    words: list[int] = []
    for level in range(first_width):
        width = first_width - level
        for _ in range(1 << level):
            bits -= width
            word = value >> bits & ((1 << width) - 1) if bits >= 0 else 0
            if not word:
                return words
            words.append(word)
    return words


def _range(words: list[int], size: int) -> list[int]:
    """Return F(1), F(2)... of W(1), W(2)...: each word is relative to its parent in a binary tree.

    Section 10.5.2.13.3: F(2) = (W(1) - 512 + W(2)) smod 1023, F(3) = (W(1) + W(3)) smod 1023,
    F(4) = (W(1) - 512 + (W(2) - 256 + W(4)) smod 511) smod 1023 and so on; for the smaller ranges
    with half of the numbers each. ``a smod b`` lies in 1..b.
    """
    found: list[int] = []
    for number in range(1, len(words) + 1):
        index, value = number, words[number - 1]
        while index > 1:
            power = 1 << (index.bit_length() - 1)
            is_left = 2 * index < 3 * power
            index -= power // 2 if is_left else power
            total = words[index - 1] + value - (size // power if is_left else 0)
            value = (total - 1) % (2 * size // power - 1) + 1
        found.append(value)
    return found
