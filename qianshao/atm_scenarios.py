"""Which withdrawals the fault enumeration plays, as data: factors, bank, cash and terms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

from atm_face.withdrawal import Factors, Terms
from hardware.atm.interface import CardResult, Movement
from hardware.simulators.bank import BankFaults, ReplyFault
from hardware.simulators.cash import (
    CashFaults,
    DispenseFault,
    PresentFault,
    RetractFault,
    StatusFault,
    TakeFault,
)

GOOD = Factors(**{one.name: True for one in fields(Factors)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One withdrawal and everything that goes wrong with it, power cuts aside."""

    factors: Factors = GOOD
    bank: BankFaults = field(default_factory=BankFaults)
    cash: CashFaults = field(default_factory=CashFaults)
    terms: Terms = field(default_factory=Terms)
    is_foreign_driven: bool = False
    """After the visit somebody else makes the dispenser move."""
    movement: Movement = Movement.CASH

    def __str__(self) -> str:
        changed = []
        for part in (self.factors, self.bank, self.cash, self.terms):
            default = GOOD if isinstance(part, Factors) else type(part)()
            changed += [
                f"{one.name}={getattr(part, one.name)}"
                for one in fields(part)
                if getattr(part, one.name) != getattr(default, one.name)
            ]
        changed += ["is_foreign_driven"] if self.is_foreign_driven else []
        changed += [] if self.movement is Movement.CASH else [self.movement.value]
        return " ".join(changed) or "no fault"


_BELIEVED = {ReplyFault.NONE, ReplyFault.STALE, ReplyFault.WRONG_AMOUNT}
_PARTIAL = Terms(allows_partial=True)
_BOTH = (False, True)


def _factors() -> Iterator[Scenario]:
    """All eight combinations of the three factors, and each other condition missing alone."""
    for card, pin, face in itertools.product(_BOTH, repeat=3):
        yield Scenario(factors=replace(GOOD, card=card, pin=pin, face=face))
    for name in [one.name for one in fields(Factors)][3:]:
        yield Scenario(factors=replace(GOOD, **{name: False}))


def _answers() -> Iterator[Scenario]:
    """Every answer of the host, right and forged."""
    for code, reply in itertools.product(("00", "51", "41"), ReplyFault):
        for posts in (False,) if code == "00" else _BOTH:
            if posts and reply in _BELIEVED:
                continue  # a bank that provably declines, and posts: its own error, not ours
            for captures in _BOTH if code == "41" else (True,):
                yield Scenario(
                    bank=BankFaults(code=code, reply=reply, posts_anyway=posts),
                    terms=Terms(captures_cards=captures),
                )


def _dispenses() -> Iterator[Scenario]:
    """Every fault while notes are counted, with every memory of it."""
    for fault, status, can_reject, terms in itertools.product(
        DispenseFault, StatusFault, _BOTH, (Terms(), _PARTIAL)
    ):
        cash = CashFaults(dispense=fault, status=status, can_reject=can_reject)
        yield Scenario(cash=cash, terms=terms)


def _cards() -> Iterator[Scenario]:
    """The card is left, jammed, torn out, at the first or the second offer."""
    results = (CardResult.LEFT, CardResult.JAMMED, CardResult.ABSENT)
    for card, can_retain, can_reject in itertools.product(results, _BOTH, _BOTH):
        yield Scenario(cash=CashFaults(card=card, can_retain=can_retain, can_reject=can_reject))
    for result in results:
        late = CashFaults(card=CardResult.LEFT, card_later=result)
        yield Scenario(cash=late, bank=BankFaults(code="51"))
        yield Scenario(cash=CashFaults(card=result), bank=BankFaults(code="51"))
    yield Scenario(cash=CashFaults(is_slot_lost=True))
    yield Scenario(cash=CashFaults(is_slot_lost=True), bank=BankFaults(code="51"))


def _presents() -> Iterator[Scenario]:
    """Every fault between stacker and hand."""
    some = ((DispenseFault.NONE, Terms()), (DispenseFault.PART, _PARTIAL))
    takes = (TakeFault.TAKEN, TakeFault.LEFT, TakeFault.SENSOR_LOST)
    for present, take, status, (dispense, terms) in itertools.product(
        PresentFault, takes, StatusFault, some
    ):
        cash = CashFaults(dispense=dispense, present=present, take=take, status=status)
        yield Scenario(cash=cash, terms=terms)


def _retracts() -> Iterator[Scenario]:
    """Notes that were not taken."""
    for retract, status, reverses, part in itertools.product(
        RetractFault, (StatusFault.NONE, StatusFault.UNKNOWN), _BOTH, _BOTH
    ):
        yield Scenario(
            cash=CashFaults(
                dispense=DispenseFault.PART if part else DispenseFault.NONE,
                take=TakeFault.LEFT,
                retract=retract,
                status=status,
            ),
            terms=Terms(allows_partial=part, reverses_counted_retract=reverses),
        )


def _queues() -> Iterator[Scenario]:
    """Advices that are not heard or not taken at first."""
    ends = (
        Scenario(),
        Scenario(bank=BankFaults(reply=ReplyFault.SILENT_POSTED)),
        Scenario(bank=BankFaults(reply=ReplyFault.SILENT_UNPOSTED)),
        Scenario(cash=CashFaults(dispense=DispenseFault.NOTHING)),
        Scenario(cash=CashFaults(dispense=DispenseFault.PART), terms=_PARTIAL),
    )
    for end, (lost, refused) in itertools.product(ends, ((1, 0), (3, 0), (0, 1), (2, 2))):
        bank = BankFaults(reply=end.bank.reply, lost_advices=lost, refused_advices=refused)
        yield Scenario(bank=bank, cash=end.cash, terms=end.terms)


def _foreign() -> Iterator[Scenario]:
    """Another client drives the dispenser after a good visit, and after a declined one."""
    yield Scenario(is_foreign_driven=True)
    yield Scenario(is_foreign_driven=True, bank=BankFaults(code="51"))


def _transfers() -> Iterator[Scenario]:
    """A transfer, and a waiting one taken back: every answer, each factor, card and queue."""
    wanted = [
        *_answers(),
        *_factors(),
        Scenario(cash=CashFaults(card=CardResult.LEFT)),
        Scenario(cash=CashFaults(is_slot_lost=True)),
        Scenario(bank=BankFaults(reply=ReplyFault.SILENT_POSTED, lost_advices=3)),
        Scenario(bank=BankFaults(reply=ReplyFault.SILENT_UNPOSTED, refused_advices=2)),
    ]
    for movement, scenario in itertools.product((Movement.TRANSFER, Movement.REVOCATION), wanted):
        yield replace(scenario, movement=movement)


def all_scenarios() -> list[Scenario]:
    """Every scenario once, in a fixed order; the one without a fault is the first."""
    groups = (
        _foreign(),
        _factors(),
        _answers(),
        _dispenses(),
        _cards(),
        _presents(),
        _retracts(),
        _queues(),
        _transfers(),
    )
    return list(dict.fromkeys((Scenario(), *itertools.chain(*groups))))
