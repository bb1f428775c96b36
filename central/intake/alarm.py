"""An alarm as 110 states it: read from JSON, each field checked, what is wrong said by its name.

Pure. A field that the case cannot do without refuses the alarm; an account that cannot be read is
refused alone, and the alarm is taken without it: minutes count, and the rest is true.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from central.clocks import micros
from contract.clock import UnixMicros

MAX_ALARMS = 200
"""In one delivery."""
MAX_ACCOUNTS = 20
MAX_FEN = 10**13
"""A hundred billion yuan: more is a slip of the keyboard."""
FUTURE_US = 5 * 60 * 1_000_000
"""How far ahead of the central's clock another clock may be."""
SOURCE = "110"
"""Who numbered an alarm that does not say."""

_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,63}", re.ASCII)
_AREA = re.compile(r"[0-9]{6}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{8,32}", re.ASCII)
_PHONE = re.compile(r"[+0-9][0-9 -]{2,24}", re.ASCII)
_LONG_NUMBER = re.compile(r"\d(?:[ -]?\d){10,}")
"""Telephone, identity and account numbers: in a free text they are shortened to four digits."""


class Wrong(StrEnum):
    """What can be wrong with a field; the pages have the same words in both languages."""

    MISSING = "missing"
    NO_TEXT = "no_text"
    TOO_LONG = "too_long"
    NO_NUMBER = "no_number"
    NO_AMOUNT = "no_amount"
    NO_TIME = "no_time"
    FUTURE = "future"
    NO_AREA = "no_area"
    NOT_YOURS = "not_yours"
    NO_ACCOUNT = "no_account"
    NO_PHONE = "no_phone"
    NO_LIST = "no_list"
    NO_OBJECT = "no_object"
    TOO_MANY = "too_many"
    UNKNOWN = "unknown"
    DIFFERS = "differs"
    NO_BOX = "no_box"


SENTENCES: Mapping[Wrong, str] = {
    Wrong.MISSING: "is missing",
    Wrong.NO_TEXT: "is no text",
    Wrong.TOO_LONG: "is too long",
    Wrong.NO_NUMBER: "is no number of an alarm: letters, digits and . _ / -, at most 64",
    Wrong.NO_AMOUNT: "is no amount: a whole number of fen, more than 0",
    Wrong.NO_TIME: "is no time: RFC 3339 with an offset, e.g. 2026-11-25T10:01:00+08:00",
    Wrong.FUTURE: "lies in the future",
    Wrong.NO_AREA: "is no administrative division: six digits (GB/T 2260)",
    Wrong.NOT_YOURS: "lies outside the areas of whoever sends it",
    Wrong.NO_ACCOUNT: "is no account number: 8 to 32 digits, blanks allowed",
    Wrong.NO_PHONE: "is no telephone number",
    Wrong.NO_LIST: "is no list",
    Wrong.NO_OBJECT: "is no object",
    Wrong.TOO_MANY: "has too many entries",
    Wrong.UNKNOWN: "is not known here",
    Wrong.DIFFERS: "differs from what the same alarm said before",
    Wrong.NO_BOX: "cannot be opened: it was not sealed to this central's intake key",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One field and what is wrong with it; never its value."""

    field: str
    wrong: Wrong

    @property
    def sentence(self) -> str:
        """In plain English."""
        return f"{self.field} {SENTENCES[self.wrong]}"

    def as_json(self) -> dict[str, str]:
        """Field, word and sentence."""
        return {"field": self.field, "wrong": self.wrong.value, "problem": self.sentence}


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """Who was robbed."""

    name: str = field(repr=False)
    phone: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectAccount:
    """Where the money went, first tier."""

    number: str = field(repr=False)
    holder: str = field(default="", repr=False)
    bank: str = ""
    amount_fen: int
    transfer_at: UnixMicros

    @property
    def is_whole(self) -> bool:
        """Whether name, number and time are there: what has to be entered within 30 minutes."""
        return bool(self.holder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm."""

    source: str
    number: str
    area: str
    alarm_at: UnixMicros
    amount_fen: int
    victim: Victim
    accounts: tuple[SuspectAccount, ...] = ()
    brief: str = ""

    @property
    def is_entered(self) -> bool:
        """Whether nothing is left to enter: brief facts, and a whole first-tier account."""
        return bool(self.brief) and any(account.is_whole for account in self.accounts)


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one document; no alarm: it is refused."""

    alarm: Alarm | None
    number: str
    """As far as it could be read."""
    problems: tuple[Problem, ...]


class _Fields:
    """One object with its place; takes fields and notes what is wrong with them."""

    def __init__(self, document: Mapping[str, Any], place: str, problems: list[Problem]) -> None:
        self._document = document
        self._place = place
        self._problems = problems
        self._asked: set[str] = set()

    def wrong(self, name: str, what: Wrong) -> None:
        self._problems.append(Problem(f"{self._place}{name}", what))

    def raw(self, name: str) -> Any:
        self._asked.add(name)
        return self._document.get(name)

    def text(self, name: str, longest: int, *, needed: bool = False) -> str:
        value = self.raw(name)
        if value is None or value == "":
            if needed:
                self.wrong(name, Wrong.MISSING)
            return ""
        if not isinstance(value, str) or not value.strip():
            self.wrong(name, Wrong.NO_TEXT)
            return ""
        line = " ".join(value.replace("\x00", " ").split())
        if len(line) > longest or not _is_writable(line):
            self.wrong(name, Wrong.TOO_LONG if len(line) > longest else Wrong.NO_TEXT)
            return ""
        return line

    def matched(
        self, name: str, form: re.Pattern[str], what: Wrong, *, default: str | None = None
    ) -> str:
        value = self.raw(name)
        if value is None or value == "":
            if default is None:
                self.wrong(name, Wrong.MISSING)
            return default or ""
        if not isinstance(value, str) or not form.fullmatch(value):
            self.wrong(name, what)
            return ""
        return value

    def fen(self, name: str) -> int:
        value = self.raw(name)
        if value is None:
            self.wrong(name, Wrong.MISSING)
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_FEN:
            self.wrong(name, Wrong.NO_AMOUNT)
        else:
            return value
        return 0

    def time(self, name: str, now: int) -> UnixMicros:
        value = self.raw(name)
        if value is None or value == "":
            self.wrong(name, Wrong.MISSING)
            return UnixMicros(0)
        moment = read_time(value)
        if moment is None:
            self.wrong(name, Wrong.NO_TIME)
        elif moment > now + FUTURE_US:
            self.wrong(name, Wrong.FUTURE)
        return moment or UnixMicros(0)

    def account_number(self, name: str) -> str:
        value = self.raw(name)
        if value is None or value == "":
            self.wrong(name, Wrong.MISSING)
            return ""
        digits = re.sub(r"[ -]", "", value) if isinstance(value, str) else ""
        if not _ACCOUNT.fullmatch(digits):
            self.wrong(name, Wrong.NO_ACCOUNT)
            return ""
        return digits

    def done(self) -> None:
        """Say which names nobody asked for: a misspelt field is a field that is missing."""
        for name in sorted(set(self._document) - self._asked)[:10]:
            self.wrong(name[:40], Wrong.UNKNOWN)


def hide_numbers(text: str) -> str:
    """Return a free text in which long numbers are masked: they belong in the sealed column."""
    return _LONG_NUMBER.sub(lambda found: "**** " + found[0][-4:], text)


def _is_writable(text: str) -> bool:
    """Whether a text is Unicode that a store can keep (JSON may hold lone surrogates)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def read_time(value: Any) -> UnixMicros | None:
    """Read RFC 3339 with an offset; None for anything else, and for years nobody means."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None or not 2000 <= moment.year < 9999:
        return None
    return micros(moment)


def read_alarm(document: Any, now: UnixMicros | int) -> Reading:
    """Read one alarm at a moment of the central's clock."""
    if not isinstance(document, Mapping):
        return Reading(None, "", (Problem("alarm", Wrong.NO_OBJECT),))
    problems: list[Problem] = []
    fields = _Fields(document, "", problems)
    number = fields.matched("number", _NUMBER, Wrong.NO_NUMBER)
    source = fields.matched("source", _NUMBER, Wrong.NO_NUMBER, default=SOURCE)
    area = fields.matched("area", _AREA, Wrong.NO_AREA)
    alarm_at = fields.time("alarm_at", int(now))
    amount_fen = fields.fen("amount_fen")
    brief = hide_numbers(fields.text("brief", 1000))
    victim = _victim(fields, problems)
    rows, refused = _accounts(fields, int(now))
    fields.done()
    if problems or victim is None:
        return Reading(None, number, (*problems, *refused))
    alarm = Alarm(
        source=source, number=number, area=area, alarm_at=alarm_at, amount_fen=amount_fen,
        victim=victim, accounts=rows, brief=brief,
    )  # fmt: skip
    return Reading(alarm, number, tuple(refused))


def _victim(fields: _Fields, problems: list[Problem]) -> Victim | None:
    value = fields.raw("victim")
    if value is None:
        fields.wrong("victim", Wrong.MISSING)
        return None
    if not isinstance(value, Mapping):
        fields.wrong("victim", Wrong.NO_OBJECT)
        return None
    inner = _Fields(value, "victim.", problems)
    name = inner.text("name", 100, needed=True)
    phone = inner.matched("phone", _PHONE, Wrong.NO_PHONE, default="")
    inner.done()
    return Victim(name=name, phone=phone)


def _accounts(fields: _Fields, now: int) -> tuple[tuple[SuspectAccount, ...], list[Problem]]:
    """Return the accounts that can be read, and what is wrong with the others."""
    value = fields.raw("accounts")
    refused: list[Problem] = []
    if value is None:
        return (), refused
    if not isinstance(value, list):
        return (), [Problem("accounts", Wrong.NO_LIST)]
    if len(value) > MAX_ACCOUNTS:
        refused.append(Problem("accounts", Wrong.TOO_MANY))
    rows = []
    for place, row in enumerate(value[:MAX_ACCOUNTS]):
        account, problems = read_account(row, now, f"accounts[{place}]")
        refused += problems
        if account is not None:
            rows.append(account)
    return tuple(rows), refused


def read_account(
    row: Any, now: int, place: str = "account"
) -> tuple[SuspectAccount | None, list[Problem]]:
    """Read one suspect account, or say what is wrong with it."""
    if not isinstance(row, Mapping):
        return None, [Problem(place, Wrong.NO_OBJECT)]
    problems: list[Problem] = []
    fields = _Fields(row, f"{place}.", problems)
    account = SuspectAccount(
        number=fields.account_number("number"),
        holder=fields.text("holder", 100),
        bank=hide_numbers(fields.text("bank", 100)),
        amount_fen=fields.fen("amount_fen"),
        transfer_at=fields.time("transfer_at", now),
    )
    fields.done()
    return (None if problems else account), problems
