"""XFS4IoT end-to-end security tokens: a strict codec, and the dispenser's side of their use.

``NONCE=..,TOKENFORMAT=1,TOKENLENGTH=nnnn,KEY=VALUE,..,HMACSHA256=..``: printable ASCII, at most
1024 characters; TOKENLENGTH is the whole length in decimal; the HMAC covers everything up to and
with ``HMACSHA256=``. What is not exactly that is refused before any key is used, and nothing is
guessed: the reference library dispensed 100.49 on a token of 100.00.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hardware.atm.money import AmountError, Money, parse_money

MAX_TOKEN_CHARS: Final = 1024
MIN_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16

_HEAD = re.compile(r"NONCE=([0-9A-F]+),TOKENFORMAT=([^,=]*),TOKENLENGTH=([^,=]*),", re.ASCII)
_TAIL = re.compile(r"HMACSHA256=([0-9A-F]{64})", re.ASCII)
_KEY = re.compile(r"[A-Z0-9]+", re.ASCII)
_VALUE = re.compile(r"[!-+\--<>-~]+", re.ASCII)  # printable without comma and equals sign
_NONCE = re.compile(r"[0-9A-F]{32}|[0-9]{1,64}", re.ASCII)
_DISPENSE_KEY = re.compile(r"DISPENSE([1-9][0-9]{0,2})", re.ASCII)


class TokenProblem(StrEnum):
    """Why a token is refused: the completion codes of XFS4IoT."""

    NO_NONCE = "noCommandNonce"
    FORMAT = "invalidTokenFormat"
    NONCE = "invalidTokenNonce"
    HMAC = "invalidTokenHMAC"
    TOKEN = "invalidToken"  # noqa: S105 - a completion code
    KEY_NO_VALUE = "invalidTokenKeyNoValue"


class TokenError(ValueError):
    """A token that must not be acted on; ``place`` is the offset of what is wrong."""

    def __init__(self, problem: TokenProblem, detail: str, place: int = 0) -> None:
        super().__init__(f"{problem.value}: {detail} (offset {place})")
        self.problem = problem
        self.detail = detail
        self.place = place


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed token; nothing is known about its HMAC until :func:`open_token` says so."""

    nonce: str
    fields: tuple[tuple[str, str], ...]
    """Keys and values between the head and the HMAC, in their order."""
    hmac: str
    text: str = field(repr=False)

    def get(self, key: str) -> str | None:
        """Value of exactly this key: ``NODISPENSE1`` is not ``DISPENSE1``."""
        return dict(self.fields).get(key)

    @property
    def id(self) -> str:
        """What names a dispense token in the answer of GetPresentStatus: its HMAC."""
        return self.hmac

    def dispense_limits(self) -> tuple[Money, ...]:
        """Maxima of all dispenses under this token, one for each currency; raises TokenError.

        DISPENSE1 must be there, further ones count up from it and name other currencies.
        """
        found: list[Money] = []
        for key, value in self.fields:
            if (match := _DISPENSE_KEY.fullmatch(key)) is None:
                continue
            place = self.text.index(f",{key}=") + 1
            if int(match[1]) != len(found) + 1:
                raise TokenError(TokenProblem.FORMAT, f"{key} is out of order", place)
            try:
                amount = parse_money(value)
            except AmountError as error:
                raise TokenError(TokenProblem.FORMAT, f"{key}: {error}", place) from None
            if any(amount.currency == other.currency for other in found):
                raise TokenError(TokenProblem.FORMAT, f"{key} repeats a currency", place)
            found.append(amount)
        if not found:
            raise TokenError(TokenProblem.FORMAT, "no DISPENSE1")
        return tuple(found)


def parse_token(text: str) -> Token:
    """Read a token's form; raises TokenError(invalidTokenFormat) for anything out of form."""
    if len(text) > MAX_TOKEN_CHARS:
        raise _malformed(f"{len(text)} characters, at most {MAX_TOKEN_CHARS}", MAX_TOKEN_CHARS)
    for place, char in enumerate(text):
        if not "!" <= char <= "~":
            raise _malformed("not printable ASCII", place)
    head = _HEAD.match(text)
    if head is None:
        raise _malformed("it does not begin with NONCE, TOKENFORMAT, TOKENLENGTH")
    if head[2] != "1":
        raise _malformed("TOKENFORMAT is not 1", head.start(2))
    if head[3] != f"{len(text):04}":
        raise _malformed(f"TOKENLENGTH is not {len(text):04}", head.start(3))
    cut = text.rfind(",") + 1
    tail = _TAIL.fullmatch(text, cut)
    if tail is None:
        raise _malformed("it does not end with HMACSHA256 and 64 upper-case hex digits", cut)
    if cut <= head.end():
        raise _malformed("no key between TOKENLENGTH and HMACSHA256", cut)
    fields = tuple(_pairs(text[head.end() : cut - 1], head.end()))
    return Token(nonce=head[1], fields=fields, hmac=tail[1], text=text)


def _pairs(text: str, place: int) -> Iterable[tuple[str, str]]:
    seen: set[str] = {"NONCE", "TOKENFORMAT", "TOKENLENGTH", "HMACSHA256"}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if not equals or _KEY.fullmatch(key) is None or _VALUE.fullmatch(value) is None:
            raise _malformed("not KEY=VALUE", place)
        if key in seen:
            raise _malformed(f"{key} stands twice", place)
        seen.add(key)
        yield key, value
        place += len(pair) + 1


def _malformed(detail: str, place: int = 0) -> TokenError:
    return TokenError(TokenProblem.FORMAT, detail, place)


def open_token(text: str, key: bytes) -> Token:
    """Read a token and check its HMAC in constant time; raises TokenError."""
    token = parse_token(text)
    if not hmac.compare_digest(token.hmac, _hmac_of(text[:-64], key)):
        raise TokenError(TokenProblem.HMAC, "the HMAC is another", len(text) - 64)
    return token


def seal_token(nonce: str, fields: Mapping[str, str], key: bytes) -> str:
    """Write a token; what it returns, :func:`open_token` takes. Raises TokenError."""
    if _NONCE.fullmatch(nonce) is None:
        raise _malformed("a nonce is 32 upper-case hex digits, or decimal")
    pairs = "".join(f"{name}={value}," for name, value in fields.items())
    rest = f",{pairs}HMACSHA256="
    head = f"NONCE={nonce},TOKENFORMAT=1,TOKENLENGTH="
    signed = f"{head}{len(head) + 4 + len(rest) + 64:04}{rest}"
    text = signed + _hmac_of(signed, key)
    parse_token(text)  # a key or value with a comma is found here
    return text


def _hmac_of(signed: str, key: bytes) -> str:
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a token key has at least {MIN_KEY_BYTES} bytes")
    return hmac.new(key, signed.encode("ascii"), hashlib.sha256).hexdigest().upper()


def seal_dispense(nonce: str, amount: Money, key: bytes) -> str:
    """The host's word that so much may be dispensed, once, under this nonce."""
    if amount.minor == 0:
        raise _malformed("a dispense of nothing is not authorised")
    return seal_token(nonce, {"DISPENSE1": str(amount)}, key)


def new_nonce() -> str:
    """128 random bits as the pattern of GetCommandNonce wants them; never a counter."""
    return secrets.token_bytes(NONCE_BYTES).hex().upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentStatus:
    """What a dispenser's signed answer to GetPresentStatus says; None: it does not know."""

    dispense_id: str
    dispensed: Money
    is_presented: bool
    presented: Money | None
    is_retracted: bool
    retracted: Money | None


def seal_present_status(nonce: str, status: PresentStatus, key: bytes) -> str:
    """Write the dispenser's answer under the client's nonce."""
    return seal_token(
        nonce,
        {
            "DISPENSEID": status.dispense_id,
            "DISPENSED1": str(status.dispensed),
            "PRESENTED1": "YES" if status.is_presented else "NO",
            "PRESENTEDAMOUNT1": _amount_or_unknown(status.presented),
            "RETRACTED1": "YES" if status.is_retracted else "NO",
            "RETRACTEDAMOUNT1": _amount_or_unknown(status.retracted),
        },
        key,
    )


def open_present_status(text: str, nonce: str, key: bytes) -> PresentStatus:
    """Check and read the dispenser's answer to our own nonce; raises TokenError."""
    token = open_token(text, key)
    if not hmac.compare_digest(token.nonce, nonce):
        raise TokenError(TokenProblem.NONCE, "an answer to another question", len("NONCE="))
    fields = dict(token.fields)
    try:
        return PresentStatus(
            dispense_id=fields["DISPENSEID"],
            dispensed=parse_money(fields["DISPENSED1"]),
            is_presented=_YES_NO[fields["PRESENTED1"]],
            presented=_read_amount(fields["PRESENTEDAMOUNT1"]),
            is_retracted=_YES_NO[fields["RETRACTED1"]],
            retracted=_read_amount(fields["RETRACTEDAMOUNT1"]),
        )
    except KeyError as error:
        raise _malformed(f"not a present status: {error.args[0]!r}") from None
    except AmountError as error:
        raise _malformed(f"not a present status: {error}") from None


_YES_NO: Final = {"YES": True, "NO": False}


def _amount_or_unknown(amount: Money | None) -> str:
    return "?" if amount is None else str(amount)


def _read_amount(text: str) -> Money | None:
    return None if text == "?" else parse_money(text)


class DispenseGuard:
    """The dispenser's side: one nonce, one token under it, and what is left of its amounts.

    A refused try changes nothing; only :meth:`confirm` spends. The state is plain and short-lived:
    a power cut clears the nonce, and with it every right to dispense.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonce: str | None = None
        self._token: Token | None = None
        self._left: dict[str, int] = {}

    @property
    def nonce(self) -> str | None:
        """The nonce that is waiting for its token or spent in part."""
        return self._nonce

    @property
    def token(self) -> Token | None:
        """The token bound to the nonce."""
        return self._token

    def issue_nonce(self) -> str:
        """Give out a new nonce; the former one and its token end."""
        self.clear()
        self._nonce = new_nonce()
        return self._nonce

    def clear(self) -> None:
        """ClearCommandNonce, power failure, time-out."""
        self._nonce, self._token, self._left = None, None, {}

    def authorise(self, text: str, amount: Money) -> Token:
        """Whether this much may be dispensed now under the token; raises TokenError."""
        token = open_token(text, self._key)
        if self._nonce is None:
            raise TokenError(TokenProblem.NO_NONCE, "no nonce was given out")
        if not hmac.compare_digest(token.nonce, self._nonce):
            raise TokenError(TokenProblem.NONCE, "it is bound to another nonce", len("NONCE="))
        if self._token is not None and self._token.text != token.text:
            raise TokenError(TokenProblem.TOKEN, "another token was used under this nonce")
        limits = {limit.currency: limit.minor for limit in token.dispense_limits()}
        left = self._left if self._token is not None else limits
        if amount.minor == 0:
            raise TokenError(TokenProblem.TOKEN, "a dispense of nothing is not authorised")
        if amount.minor > left.get(amount.currency, 0):
            raise TokenError(TokenProblem.TOKEN, "more than the token allows")
        self._token, self._left = token, left
        return token

    def confirm(self, amount: Money) -> None:
        """Spend what left the cassettes; a token that is used up takes its nonce along."""
        if self._token is None or amount.minor > self._left.get(amount.currency, 0):
            raise TokenError(TokenProblem.TOKEN, "nothing was authorised for this dispense")
        self._left[amount.currency] -= amount.minor
        if not any(self._left.values()):
            self.clear()
