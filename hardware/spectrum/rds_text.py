"""RDS texts: the basic character set (EN 50067 annex E, table E.1) and the programme types."""

from __future__ import annotations

import re

_HIGH = (
    "áàéèíìóòúùÑÇŞß¡Ĳ"
    "âäêëîïôöûüñçşǧıĳ"
    "ªα©‰Ǧěňőπ€£$←↑→↓"
    "º¹²³±İńűµ¿÷°¼½¾§"
    "ÁÀÉÈÍÌÓÒÚÙŘČŠŽÐĿ"
    "ÂÄÊËÎÏÔÖÛÜřčšžđŀ"
    "ÃÅÆŒŷÝÕØÞŊŔĆŚŹŦð"
    "ãåæœŵýõøþŋŕćśźŧ "
)
_LOW_EXCEPTIONS = {0x24: "¤", 0x5E: "―", 0x60: "‖", 0x7E: "¯", 0x7F: " "}
_TABLE = (
    "".join(" " if code < 0x20 else _LOW_EXCEPTIONS.get(code, chr(code)) for code in range(0x80))
    + _HIGH
)

PROGRAMME_TYPES = (
    "No PTY",
    "News",
    "Current affairs",
    "Information",
    "Sport",
    "Education",
    "Drama",
    "Culture",
    "Science",
    "Varied",
    "Pop music",
    "Rock music",
    "Easy listening",
    "Light classical",
    "Serious classical",
    "Other music",
    "Weather",
    "Finance",
    "Children's programmes",
    "Social affairs",
    "Religion",
    "Phone-in",
    "Travel",
    "Leisure",
    "Jazz music",
    "Country music",
    "National music",
    "Oldies music",
    "Folk music",
    "Documentary",
    "Alarm test",
    "Alarm",
)
"""EN 50067 annex F, the European list."""

CARRIAGE_RETURN = 0x0D
"""Ends a RadioText that is shorter than its field."""

_GB_PAIRS = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe]|[\xa1-\xa9][\xa1-\xfe]|[\x00-\x7f])*")
_GB_HAN = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")


def basic_text(data: bytes) -> str:
    """Decode by the basic character set; control codes become blanks."""
    return "".join(_TABLE[code] for code in data)


def radiotext(data: bytes) -> str:
    """Decode a RadioText, as GB 2312 where it can be nothing else.

    The standard knows the basic set alone, yet Chinese encoders put GB 2312 pairs into the field.
    Two or more pairs of Chinese characters, and no high byte outside of a pair, do not happen in a
    text of the basic set.
    """
    if len(_GB_HAN.findall(data)) >= 2 and _GB_PAIRS.fullmatch(data):
        try:
            text = data.decode("gb2312")
        except UnicodeDecodeError:
            return basic_text(data)
        return "".join(c if c.isprintable() else " " for c in text)
    return basic_text(data)


def utf8_text(data: bytes) -> str:
    """Decode the UTF-8 of RDS2 fields; what is no UTF-8 shows as U+FFFD."""
    text = data.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)
