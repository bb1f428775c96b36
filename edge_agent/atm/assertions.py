"""Face assertions for the bank's ATM application (mode A): sessions, decisions, signed words.

No transport here: values in, values out; the service module speaks HTTP. One session at a time, as
one customer stands at a machine; a new one ends the former.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from atm_face.factor import CardVerdict
from atm_face.policy import (
    DISSUASION,
    Business,
    ListMode,
    Policy,
    Verdict,
    Visit,
    decide,
    is_asked,
)
from atm_face.sanctions import Holds
from atm_face.screens import PROMPTS, Prompt
from contract.accounts import CardRef, card_ref
from contract.assertion import (
    MAX_NONCE_BYTES,
    MIN_NONCE_BYTES,
    VERSION,
    FaceAssertion,
    seal_assertion,
)
from contract.clock import Clock, UnixMicros
from contract.keys import Signer
from contract.messages import WithdrawalDecision
from contract.words import DecisionReason, Pad, PinVerdict
from edge_agent.atm.examiner import FaceVisit
from edge_agent.atm.spent import SpentToday
from hardware.cameras.interface import CameraError, ChallengeKind

SESSION_LIFE_US = 180_000_000
ASSERTION_LIFE_US = 60_000_000
READ_US = 5_000_000
"""A question that is answered with yes sooner was not read."""
MAX_AMOUNT_FEN = 100_000_000


class Refusal(StrEnum):
    """Why a call was not carried out."""

    NO_SESSION = "no_session"
    EXPIRED = "expired"
    WRONG_STEP = "wrong_step"
    BAD_VALUE = "bad_value"
    CAMERA = "camera"
    CLOSED = "closed"
    """The machine is out of service, or a decision cannot be kept: no new assertion."""


class CallRefusedError(Exception):
    """A call that is refused; the session, if any, stays as it was."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal.value}: {detail}")
        self.refusal = refusal
        self.detail = detail


class OpensVisits(Protocol):
    """What examines faces."""

    def open(self, card: CardRef) -> FaceVisit:
        """Begin a visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What orders and lists say of the card now."""

    hold: DecisionReason | None = None
    """Of orders."""
    holds: Holds = field(default_factory=Holds)
    """Of the list."""
    list_mode: ListMode = ListMode.OFFLINE_STALE

    def visit(self) -> Visit:
        """Return a visit of which nothing else is known: every factor is missing."""
        return Visit(
            business=Business.WITHDRAW,
            pin=PinVerdict.WRONG,
            is_enrolled=False,
            is_face_covered=False,
            pad=Pad.NONE,
            is_live=None,
            is_match=None,
            list_mode=self.list_mode,
            has_stop=self.hold is DecisionReason.STOP_PAYMENT or self.holds.has_stop,
            has_freeze=self.hold is DecisionReason.FROZEN or self.holds.has_freeze,
            sanction=self.holds.sanction,
            is_dormant=self.holds.is_dormant,
            needs_step_up=self.holds.needs_step_up,
            is_warned=self.holds.is_warned,
        )


@dataclass(slots=True)
class _Session:
    id: str
    card: CardRef
    visit: FaceVisit
    opened_us: int
    started_at: UnixMicros
    prompts: list[Prompt] = field(default_factory=list)
    asked_us: int | None = None
    """When the question was given out, monotonic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session and what the customer will be asked to do."""

    session: str
    challenge: ChallengeKind
    expires_at: UnixMicros


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The decision, what to show, and the assertion if the decision allows."""

    verdict: Verdict
    assertion: str | None
    expires_at: UnixMicros | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the application is about to ask the host for."""

    stan: str
    amount_fen: int
    nonce: bytes
    pin: PinVerdict
    currency: str = "CNY"
    business: Business = Business.WITHDRAW
    payee: str = field(default="", repr=False)
    """Account number that a transfer goes to."""
    is_confirmed: bool | None = None
    """The customer's answer to the question, where one was asked."""

    def __post_init__(self) -> None:
        if not (len(self.stan) == 6 and self.stan.isascii() and self.stan.isdigit()):
            raise ValueError("stan has six digits")
        if not 0 < self.amount_fen <= MAX_AMOUNT_FEN:
            raise ValueError("amount_fen is out of range")
        if not MIN_NONCE_BYTES <= len(self.nonce) <= MAX_NONCE_BYTES:
            raise ValueError(f"nonce has {MIN_NONCE_BYTES} to {MAX_NONCE_BYTES} bytes")
        if self.business in {Business.DEPOSIT, Business.REVOKE}:
            raise ValueError("business is withdraw, transfer_own or transfer_other")
        if (self.business is Business.WITHDRAW) == bool(self.payee):
            raise ValueError("payee is given with a transfer, and with nothing else")


class AssertionDesk:
    """Sessions of one machine; one thread at a time."""

    def __init__(
        self,
        *,
        device: str,
        tenant: str,
        terminal: str,
        tenant_key: bytes | None = None,
        card_of: Callable[[str], CardRef] | None = None,
        signer: Signer,
        examiner: OpensVisits,
        clock: Clock,
        state_of: Callable[[CardRef], AccountState],
        is_listed: Callable[[CardRef], bool] = lambda payee: False,
        policy: Policy | None = None,
        spent: SpentToday | None = None,
        on_decision: Callable[[WithdrawalDecision], None] = lambda decision: None,
        on_allowed: Callable[[int, str], None] = lambda amount_fen, currency: None,
        on_face: Callable[[CardVerdict], None] = lambda verdict: None,
        problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``card_of`` names a card by its number; with ``tenant_key`` it is that one key's HMAC.

        ``state_of`` says what holds the account and how fresh that knowledge is; ``is_listed``
        whether nobody may send money to an account.

        ``on_decision`` is given each decision as the message for the central and may raise
        CallRefusedError; ``on_allowed`` is told what may be dispensed once; ``problem`` says why
        the machine is closed, if it is.
        """
        self._on_decision = on_decision
        self._on_allowed = on_allowed
        self._on_face = on_face
        self._problem = problem
        self._device, self._tenant, self._terminal = device, tenant, terminal
        self._card_of = card_of or (lambda pan: card_ref(pan, tenant_key or b""))
        self._signer = signer
        self._examiner = examiner
        self._clock = clock
        self._state_of = state_of
        self._is_listed = is_listed
        self._policy = policy or Policy()
        self._session: _Session | None = None
        self._spent = spent or SpentToday()
        self.counters = {"sessions": 0, "assertions": 0, "refused": 0}

    def begin(self, pan: str) -> Opened:
        """Open a session for the card in the reader; the number is forgotten at once."""
        if (problem := self._problem()) is not None:
            raise CallRefusedError(Refusal.CLOSED, problem)
        try:
            card = self._card_of(pan)
        except ValueError:
            raise CallRefusedError(Refusal.BAD_VALUE, "pan has 12 to 19 digits") from None
        now = self._clock.mono()
        visit = self._examiner.open(card)
        self._session = _Session(secrets.token_hex(16), card, visit, now, self._clock.wall())
        self.counters["sessions"] += 1
        return Opened(
            session=self._session.id,
            challenge=visit.challenge,
            expires_at=UnixMicros(self._clock.wall() + SESSION_LIFE_US),
        )

    def capture(self, session: str) -> tuple[Prompt, ...]:
        """Take a picture; prompts say what would help before another."""
        found = self._find(session)
        try:
            prompts = found.visit.capture()
        except CameraError as error:
            raise CallRefusedError(Refusal.CAMERA, error.problem) from None
        found.prompts += prompts
        return prompts

    def challenge(self, session: str) -> bool:
        """Run the challenge; whether the camera could."""
        found = self._find(session)
        try:
            return found.visit.run_challenge()
        except CameraError as error:
            raise CallRefusedError(Refusal.CAMERA, error.problem) from None

    def question(self, session: str, business: Business) -> tuple[Prompt, ...]:
        """What the customer has to read and answer before this business; empty: nothing."""
        found = self._find(session)
        if not is_asked(replace(self._state_of(found.card).visit(), business=business)):
            return ()
        found.asked_us = self._clock.mono()
        return DISSUASION

    def _require_answer(self, found: _Session, asked: Asked, account: Visit) -> None:
        """Refuse a decision before the question was read; the session stays."""
        if not is_asked(replace(account, business=asked.business)) or asked.is_confirmed is False:
            return
        if asked.is_confirmed is None or found.asked_us is None:
            raise CallRefusedError(Refusal.WRONG_STEP, "the customer has to be asked first")
        if self._clock.mono() - found.asked_us < READ_US:
            raise CallRefusedError(Refusal.WRONG_STEP, "the customer has had no time to read")

    def decide(self, session: str, asked: Asked) -> Outcome:
        """Decide, and sign if it is allowed; either way the session is over (single use).

        Raises CallRefusedError, with the session as it was, where a question comes first.
        """
        found = self._find(session)
        payee = self._payee(asked)
        self._require_answer(found, asked, self._state_of(found.card).visit())
        self._session = None
        if (problem := self._problem()) is not None:
            raise CallRefusedError(Refusal.CLOSED, problem)
        face = found.visit.verdict()
        self._on_face(face)
        seen = face.examination
        visit = replace(
            self._state_of(found.card).visit(),
            business=asked.business,
            is_payee_listed=payee is not None and self._is_listed(payee),
            is_confirmed=asked.is_confirmed,
            pin=asked.pin,
            is_enrolled=face.is_enrolled,
            is_face_covered=seen.is_face_covered,
            pad=seen.evidence.pad if seen.evidence else Pad.NONE,
            is_live=seen.is_live,
            is_match=seen.is_match,
            amount_fen=asked.amount_fen,
            day_fen=self._spent.of(found.card, self._clock.wall()),
        )
        verdict = decide(visit, self._policy)
        self._on_decision(self._message(found, asked, face, verdict))
        if not verdict.is_allowed or seen.evidence is None:
            self.counters["refused"] += 1
            return Outcome(verdict=verdict, assertion=None, expires_at=None)
        now = self._clock.wall()
        expires = UnixMicros(now + ASSERTION_LIFE_US)
        assertion = FaceAssertion(
            version=VERSION,
            assertion_id=secrets.token_bytes(16),
            device=self._device,
            terminal=self._terminal,
            stan=asked.stan,
            amount_fen=asked.amount_fen,
            currency=asked.currency,
            card=found.card.hmac,
            nonce=asked.nonce,
            pad=seen.evidence.pad,
            policy_version=self._policy.version,
            issued_at=now,
            expires_at=expires,
            is_simulated=seen.evidence.is_simulated,
            transfer_to=None if payee is None else payee.hmac,
            not_before=UnixMicros(now + verdict.delay_s * 1_000_000) if verdict.delay_s else None,
        )
        self.counters["assertions"] += 1
        self._spent.add(found.card, asked.amount_fen, now)
        if asked.business is Business.WITHDRAW:
            self._on_allowed(asked.amount_fen, asked.currency)
        sealed = seal_assertion(assertion, self._tenant, self._signer)
        return Outcome(verdict=verdict, assertion=sealed, expires_at=expires)

    def _message(
        self, found: _Session, asked: Asked, face: CardVerdict, verdict: Verdict
    ) -> WithdrawalDecision:
        return WithdrawalDecision(
            visit=found.id,
            business=asked.business.word,
            amount_fen=asked.amount_fen,
            card=found.card,
            pin=asked.pin,
            face=face.examination.evidence,
            decision=verdict.decision,
            reason=verdict.reason,
            policy_version=self._policy.version,
            started_at=found.started_at,
            decided_at=self._clock.wall(),
            many_cards=face.reached_cards,
        )

    def _payee(self, asked: Asked) -> CardRef | None:
        if not asked.payee:
            return None
        try:
            return self._card_of(asked.payee)
        except ValueError:
            raise CallRefusedError(Refusal.BAD_VALUE, "payee has 12 to 19 digits") from None

    def end(self, session: str) -> None:
        """Drop a session: cancelled, time-out, card out."""
        self._find(session)
        self._session = None

    def _find(self, session: str) -> _Session:
        found = self._session
        if found is None or not secrets.compare_digest(found.id, session):
            raise CallRefusedError(Refusal.NO_SESSION, "no such session")
        if self._clock.mono() - found.opened_us > SESSION_LIFE_US:
            self._session = None
            raise CallRefusedError(Refusal.EXPIRED, "the session is too old")
        return found


def prompt_json(prompts: tuple[Prompt, ...]) -> list[dict[str, str]]:
    """Return prompts as words and texts in both languages."""
    return [{"prompt": one.value, "zh": PROMPTS[one].zh, "en": PROMPTS[one].en} for one in prompts]
