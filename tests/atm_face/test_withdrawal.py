"""The withdrawal table: what its rows promise, found by walking all of them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atm_face.withdrawal import (
    CHECKS,
    Answer,
    DoubleOutcomeError,
    Effect,
    Event,
    Factors,
    Guard,
    Happened,
    HostWord,
    Outcome,
    Row,
    State,
    Terms,
    UnexpectedEventError,
    Withdrawal,
    step,
)
from atm_face.withdrawal_document import FAULTS, withdrawal_document
from atm_face.withdrawal_table import MAY_DISPENSE, MAY_REQUEST, TABLE

AMOUNT = 300_000
GOOD = Factors(
    card=True,
    pin=True,
    face=True,
    policy=True,
    clock=True,
    journal=True,
    queue=True,
    host=True,
    devices=True,
)
NEW = Withdrawal(id="w1", stan="000123", terminal="ATM00001", amount_fen=AMOUNT)
APPROVAL = Answer(
    word=HostWord.APPROVED,
    is_authentic=True,
    stan="000123",
    terminal="ATM00001",
    amount_fen=AMOUNT,
    age_ms=900,
)
REQUESTED = replace(NEW, state=State.REQUESTING)


def decided(factors: Factors) -> Happened:
    return Happened(event=Event.DECIDED, factors=factors)


def answered(**changes: object) -> Happened:
    return Happened(event=Event.ANSWERED, answer=replace(APPROVAL, **changes))  # type: ignore[arg-type]


def counted(event: Event, fen: int | None = AMOUNT) -> Happened:
    return Happened(event=event, count_fen=fen)


def play(start: Withdrawal, *events: Happened, terms: Terms | None = None) -> Withdrawal:
    for happened in events:
        start = step(start, happened, terms or Terms()).after
    return start


def reachable() -> set[tuple[State, bool]]:
    """Every state with whether an outcome is recorded, guards taken for unknown."""
    seen, new = set[tuple[State, bool]](), {(State.COLLECTING, False)}
    while new:
        state, has_outcome = new.pop()
        seen.add((state, has_outcome))
        for row in TABLE:
            if row.state is state:
                assert not (has_outcome and row.outcome), f"second outcome: {row}"
                following = (row.to, has_outcome or row.outcome is not None)
                if following not in seen:
                    new.add(following)
    return seen


# -- the way that should be ------------------------------------------------------------------------


def test_the_good_way_ends_completed() -> None:
    end = play(
        NEW,
        decided(GOOD),
        answered(),
        counted(Event.DISPENSED),
        Happened(event=Event.CARD_TAKEN),
        Happened(event=Event.PRESENTED),
        Happened(event=Event.TAKEN),
        Happened(event=Event.CARD_ABSENT),
    )
    assert end.state is State.ENDED
    assert end.outcome is Outcome.COMPLETED
    assert end.dispensed_fen == AMOUNT


@pytest.mark.parametrize("card", [False, True])
@pytest.mark.parametrize("pin", [False, True])
@pytest.mark.parametrize("face", [False, True])
def test_only_card_and_pin_and_face_reach_the_dispenser(card: bool, pin: bool, face: bool) -> None:
    first = step(NEW, decided(replace(GOOD, card=card, pin=pin, face=face)), Terms())
    is_asked = Effect.SEND_REQUEST in first.row.effects
    assert is_asked is (card and pin and face)
    if is_asked:
        assert Effect.DISPENSE in step(first.after, answered(), Terms()).row.effects
    else:
        assert first.after.outcome is Outcome.NOT_SENT
        assert first.external == (Effect.RETURN_CARD,)


@pytest.mark.parametrize("name", Factors.__slots__)
def test_each_missing_condition_keeps_the_host_unasked(name: str) -> None:
    bad = step(NEW, decided(replace(GOOD, **{name: False})), Terms())
    assert bad.after.outcome is Outcome.NOT_SENT
    assert step(NEW, Happened(event=Event.DECIDED), Terms()).after.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    "changes",
    [
        {"is_authentic": False},
        {"stan": "000124"},
        {"terminal": "ATM00002"},
        {"amount_fen": AMOUNT + 1},
        {"age_ms": 60_001},
        {"age_ms": -1},
    ],
)
def test_an_answer_that_is_not_ours_is_reversed_with_an_alarm(changes: dict[str, object]) -> None:
    made = step(REQUESTED, answered(**changes), Terms())
    assert made.after.outcome is Outcome.REVERSED
    assert {Effect.QUEUE_REVERSAL, Effect.ALARM} <= set(made.row.effects)


def test_declines() -> None:
    declined = step(REQUESTED, answered(word=HostWord.DECLINED), Terms())
    assert (declined.after.outcome, declined.after.state) == (Outcome.DECLINED, State.CLOSING)
    kept = step(REQUESTED, answered(word=HostWord.CAPTURE_CARD), Terms())
    assert (kept.after.outcome, kept.after.state) == (Outcome.DECLINED, State.RETAINING)
    back = step(REQUESTED, answered(word=HostWord.CAPTURE_CARD), Terms(captures_cards=False))
    assert back.after.state is State.CLOSING
    # Nobody may have a card kept by an answer that is not the host's.
    forged = answered(word=HostWord.CAPTURE_CARD, is_authentic=False)
    assert step(REQUESTED, forged, Terms()).after.state is State.CLOSING


@pytest.mark.parametrize("fen", [0, AMOUNT - 10_000, AMOUNT + 10_000, None])
@pytest.mark.parametrize("allows_partial", [False, True])
def test_another_count_is_rejected_unless_a_part_is_allowed(
    fen: int | None, allows_partial: bool
) -> None:
    dispensing = replace(NEW, state=State.DISPENSING)
    made = step(dispensing, counted(Event.DISPENSED, fen), Terms(allows_partial=allows_partial))
    if allows_partial and fen == AMOUNT - 10_000:
        end = play(
            made.after,
            Happened(event=Event.CARD_TAKEN),
            Happened(event=Event.PRESENTED),
            Happened(event=Event.TAKEN),
        )
        assert end.outcome is Outcome.PARTIALLY_REVERSED
    else:
        assert (made.after.state, made.after.outcome) == (State.REJECTING, Outcome.REVERSED)


@pytest.mark.parametrize("reverses", [False, True])
def test_a_counted_retract_is_reversed_only_where_the_bank_says_so(reverses: bool) -> None:
    retracting = replace(NEW, state=State.RETRACTING, dispensed_fen=AMOUNT)
    terms = Terms(reverses_counted_retract=reverses)
    all_back = step(retracting, counted(Event.RETRACTED), terms)
    assert all_back.after.outcome is (Outcome.REVERSED if reverses else Outcome.SUSPENSE)
    assert Effect.OUT_OF_SERVICE not in all_back.row.effects
    part_back = step(retracting, counted(Event.RETRACTED, AMOUNT - 1), terms)
    assert part_back.after.outcome is Outcome.SUSPENSE
    assert Effect.OUT_OF_SERVICE in part_back.row.effects


# -- what the rows promise -------------------------------------------------------------------------


def test_one_outcome_and_never_a_second() -> None:
    for state, has_outcome in reachable():
        settled = {State.REJECTING, State.CLOSING, State.RETAINING, State.ENDED}
        assert has_outcome is (state in settled), state


def test_a_second_outcome_is_an_error_of_the_table() -> None:
    bad = Row(State.CLOSING, Event.TAKEN, State.ENDED, outcome=Outcome.COMPLETED)
    closing = replace(NEW, state=State.CLOSING, outcome=Outcome.REVERSED)
    with pytest.raises(DoubleOutcomeError):
        step(closing, Happened(event=Event.TAKEN), Terms(), rows=[bad])


def test_every_state_is_reached_and_ends() -> None:
    assert {state for state, _ in reachable()} == set(State)
    ways = {row.state: {r.to for r in TABLE if r.state is row.state} for row in TABLE}
    for state in State:
        seen, new = set[State](), {state}
        while new:
            here = new.pop()
            seen.add(here)
            new |= ways.get(here, set()) - seen
        assert State.ENDED in seen


def test_host_and_dispenser_are_asked_by_one_row_each() -> None:
    asking = [row for row in TABLE if Effect.SEND_REQUEST in row.effects]
    assert [(row.state, row.guards) for row in asking] == [(State.COLLECTING, MAY_REQUEST)]
    dispensing = [row for row in TABLE if Effect.DISPENSE in row.effects]
    assert [(row.state, row.guards) for row in dispensing] == [(State.REQUESTING, MAY_DISPENSE)]
    presenting = [row for row in TABLE if Effect.PRESENT in row.effects]
    assert [(row.state, row.event) for row in presenting] == [(State.STACKED, Event.CARD_TAKEN)]


def test_reversal_confirmation_and_suspense_go_with_their_outcome() -> None:
    of_outcome = {
        Outcome.REVERSED: Effect.QUEUE_REVERSAL,
        Outcome.PARTIALLY_REVERSED: Effect.QUEUE_PARTIAL_REVERSAL,
        Outcome.COMPLETED: Effect.QUEUE_CONFIRMATION,
        Outcome.SUSPENSE: Effect.OPEN_SUSPENSE,
    }
    for row in TABLE:
        money = set(row.effects) & set(of_outcome.values())
        wanted = of_outcome.get(row.outcome) if row.outcome else None
        assert money == ({wanted} if wanted else set()), row


def test_notes_in_reach_are_reversed_only_on_the_dispensers_word() -> None:
    """W6: after PRESENT began, nothing but a clear answer reverses the whole amount."""
    clear = {Event.PRESENT_NO_ITEMS, Event.STATUS_NOT_PRESENTED}
    for row in TABLE:
        in_reach = {State.PRESENTING, State.PRESENTED, State.RETRACTING, State.CHECKING}
        if row.state in in_reach and Effect.QUEUE_REVERSAL in row.effects:
            counted_back = Guard.RETRACT_REVERSES in row.guards
            assert row.event in clear or counted_back, row


def test_every_open_state_survives_a_power_cut_and_a_lost_device() -> None:
    for state in State:
        events = {row.event for row in TABLE if row.state is state and not row.guards}
        if state is State.ENDED:
            assert Event.BOOT not in events
        else:
            assert Event.BOOT in events
        if state not in {State.ENDED, State.REQUESTING}:
            assert Event.DEVICE_LOST in events


def test_the_last_row_of_a_pair_needs_no_condition() -> None:
    last = {(row.state, row.event): row for row in TABLE}
    assert [row for row in last.values() if row.guards] == []


def test_no_row_is_hidden_and_each_guard_is_used() -> None:
    for row, other in itertools.combinations(TABLE, 2):
        if (row.state, row.event) == (other.state, other.event):
            assert row.guards, f"hides {other}"
    assert {guard for row in TABLE for guard in row.guards} == set(Guard) == set(CHECKS)


def test_each_fault_of_the_table_is_answered() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, 26))
    in_rows = {number for row in TABLE for number in row.faults}
    # The queue of reversals answers 18 and 19 outside the machine.
    assert in_rows == set(range(1, 26)) - {18, 19}


def test_what_has_no_row_changes_nothing() -> None:
    with pytest.raises(UnexpectedEventError, match="taken does not belong to collecting"):
        step(NEW, Happened(event=Event.TAKEN), Terms())
    with pytest.raises(UnexpectedEventError):
        step(REQUESTED, counted(Event.DISPENSED), Terms())


def test_the_document_is_current() -> None:
    path = Path(__file__).parents[2] / "docs/withdrawal.md"
    assert path.read_text(encoding="utf-8") == withdrawal_document()


def test_the_machine_imports_no_device_and_no_clock() -> None:
    code = (
        "import sys; import atm_face.withdrawal_table, atm_face.withdrawal_document; "
        "bad = {'cv2', 'numpy', 'sqlite3', 'socket', 'threading', 'asyncio'} & set(sys.modules); "
        "sys.exit(repr(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- random walks ----------------------------------------------------------------------------------

COUNTS = st.sampled_from([None, 0, AMOUNT - 10_000, AMOUNT, AMOUNT + 10_000])
ANSWERS = st.builds(
    Answer,
    word=st.sampled_from(HostWord),
    is_authentic=st.booleans(),
    stan=st.sampled_from(["000123", "000124"]),
    terminal=st.sampled_from(["ATM00001", "ATM00002"]),
    amount_fen=st.sampled_from([AMOUNT, AMOUNT + 1]),
    age_ms=st.sampled_from([0, 60_000, 60_001]),
)
FACTORS = st.builds(Factors, **{name: st.booleans() for name in Factors.__slots__})
TERMS = st.builds(
    Terms,
    allows_partial=st.booleans(),
    reverses_counted_retract=st.booleans(),
    captures_cards=st.booleans(),
)


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order, with three factors or without."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NEW
        self.effects: list[Effect] = []
        self.outcomes: list[Outcome] = []
        self.was_good = False
        self.was_approved = False

    def feed(self, happened: Happened, terms: Terms) -> None:
        before = self.now
        try:
            made = step(self.now, happened, terms)
        except UnexpectedEventError:
            return
        self.now = made.after
        self.effects += made.row.effects
        if made.row.outcome:
            self.outcomes.append(made.row.outcome)
        if Effect.SEND_REQUEST in made.row.effects:
            self.was_good = happened.factors == GOOD
        if Effect.DISPENSE in made.row.effects:
            answer = happened.answer
            self.was_approved = answer == replace(APPROVAL, age_ms=answer.age_ms if answer else 0)
        assert before.id == self.now.id

    @precondition(lambda self: self.now.state is State.COLLECTING)
    @rule(factors=FACTORS | st.just(GOOD), terms=TERMS)
    def decide(self, factors: Factors, terms: Terms) -> None:
        self.feed(decided(factors), terms)

    @precondition(lambda self: self.now.state is State.REQUESTING)
    @rule(answer=ANSWERS | st.just(APPROVAL), terms=TERMS)
    def answer(self, answer: Answer, terms: Terms) -> None:
        self.feed(Happened(event=Event.ANSWERED, answer=answer), terms)

    @rule(event=st.sampled_from(Event), count=COUNTS, terms=TERMS)
    def anything(self, event: Event, count: int | None, terms: Terms) -> None:
        self.feed(Happened(event=event, count_fen=count), terms)

    @invariant()
    def promises(self) -> None:
        assert len(self.outcomes) <= 1
        assert self.effects.count(Effect.SEND_REQUEST) <= 1
        assert self.effects.count(Effect.DISPENSE) <= 1
        if Effect.SEND_REQUEST in self.effects:
            assert self.was_good
        if Effect.DISPENSE in self.effects:
            assert self.was_approved
        if self.now.state is State.ENDED:
            assert self.outcomes
        money = {Effect.QUEUE_REVERSAL, Effect.QUEUE_CONFIRMATION, Effect.QUEUE_PARTIAL_REVERSAL}
        assert sum(self.effects.count(effect) for effect in money) <= 1


TestAnyOrder = AnyOrder.TestCase
