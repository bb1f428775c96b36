"""Orders from the draft to their end: two officers, one bank, one machine, a moved clock."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from central.actor import Actor, Role
from central.clocks import load_law
from central.orders.bank import Account, Incoming, SimulatedBank
from central.orders.book import Application, Book, OrderRecord
from central.orders.desk import DRAFT_LIFE_US, MemoryLog, OrderDesk, Wiring
from central.orders.kinds import (
    KINDS,
    TRANSITIONS,
    Hold,
    OrderKind,
    OrderRefusedError,
    OrderState,
    Reason,
    Trigger,
    display_state,
)
from central.orders.platform import (
    BankError,
    BankRequest,
    Feedback,
    PlatformError,
    Sealed,
    load_codes,
)
from central.orders.sealed import SealedError, Vault, masked
from central.orders.tree import Node, account_tree, branches, held_fen
from central.orders.wrongly_held import Ground, together_us, wrongly_held
from contract.accounts import card_ref
from contract.clock import MonoMicros, UnixMicros, VirtualClock
from contract.cosign import FindOrderKey, OrderKey, Signature, open_order, sign_content
from contract.keys import KeySigner
from contract.topics import Channel
from contract.words import OrderType
from tests.edge_agent.order_desks import Bench
from tests.orders import FIND, HOUR_US, NOW, OFFICERS, TENANT, delivered, officers, signed

LAW = load_law()
NUMBERS = ("6217000000000000012", "6217000000000000020")
KEY = b"k" * 32
AREA = "140500"
TRANSFER = UnixMicros(NOW - HOUR_US)


def officer(name: str, *areas: str) -> Actor:
    return Actor(name, frozenset({Role.REVIEWER}), frozenset(areas or (AREA,)))


@dataclass
class Office:
    """A desk with everything around it."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW, MonoMicros(1)))
    published: list[bytes] = field(default_factory=list)
    find_key: FindOrderKey = FIND

    def __post_init__(self) -> None:
        self.log = MemoryLog()
        self.bank = SimulatedBank(self.clock.wall)
        for number in NUMBERS:
            money = [Incoming(4_600_000, TRANSFER)]
            self.bank.accounts[number] = Account("张三", 5_000_000, money)
        self.desk = self.open()
        self.serial = 0

    def _keys_at(self, at: UnixMicros) -> FindOrderKey:
        """The officers of the bundle that the machines have, as long as it holds."""
        is_valid = officers().officers[0].valid_until > at

        def find(kid: bytes) -> OrderKey | None:
            return self.find_key(kid) if is_valid else None

        return find

    def open(self, **changes: Any) -> OrderDesk:
        wiring = Wiring(
            tenant=TENANT,
            issuer="central",
            clock=self.clock,
            find_key=self._keys_at,
            bank=self.bank,
            codes=load_codes(),
            vault=Vault(b"v" * 32),
            publish=self.published.append,
            counter=lambda: 5000,
        )
        return OrderDesk(Book(LAW, self.log.load()), self.log, replace(wiring, **changes))

    def draft(
        self,
        kind: OrderKind = OrderKind.STOP_PAYMENT,
        number: str = NUMBERS[0],
        name: str = "张三",
        **changes: Any,
    ) -> OrderRecord:
        self.serial += 1
        fields: dict[str, Any] = {
            "order_id": b"",
            "kind": kind,
            "sender": "140500000000",
            "application_id": f"A-{self.serial}",
            "case": "C-1",
            "area": AREA,
            "account": card_ref(number, KEY),
            "amount_fen": 4_600_000,
            "transfer_at": TRANSFER,
        }
        application = Application(**(fields | changes))
        return self.desk.draft(officer("li"), application, Sealed(number=number, name=name))

    def signature(self, order_id: bytes, name: str) -> Signature:
        content = self.desk.content(order_id)
        return sign_content(content, tenant=TENANT, signer=KeySigner(OFFICERS[name]))

    def sign(self, order_id: bytes, *names: str) -> OrderRecord:
        for name in names or ("li", "wang"):
            self.desk.sign(officer(name), order_id, self.signature(order_id, name))
        return self.desk.book.get(order_id)

    def order(self, kind: OrderKind = OrderKind.STOP_PAYMENT, **changes: Any) -> OrderRecord:
        return self.sign(self.draft(kind, **changes).application.order_id)


@pytest.fixture
def office() -> Office:
    return Office()


def refused(office: Office, reason: Reason, *args: Any, **changes: Any) -> OrderRefusedError:
    before = list(office.log.events)
    with pytest.raises(OrderRefusedError) as caught:
        office.draft(*args, **changes)
    assert caught.value.reason is reason
    assert office.log.events == before
    assert office.log.refusals[-1][2] is caught.value
    return caught.value


def test_a_matched_stop_is_executed_fed_back_published_and_over_after_48_hours(
    office: Office,
) -> None:
    record = office.order()
    assert record.state is OrderState.FED_BACK
    assert (record.feedback["code"], record.feedback["return_code"]) == ("100102", "100000")
    assert record.signers == ("li", "wang")
    sent = open_order(office.published[0], tenant=TENANT, find_key=FIND)
    assert (sent.order.type, sent.signers) == (OrderType.STOP_PAYMENT, ("li", "wang"))
    assert sent.order.counter == 5000
    assert office.desk.book.times(record.application.order_id) == 1
    office.clock.advance(48 * HOUR_US - 1)
    assert office.desk.tick() == 0
    assert display_state(office.desk.book.get(sent.order.order_id).state) == "ACTIVE"
    office.clock.advance(1)
    assert office.bank.usable_fen(NUMBERS[0]) == 5_000_000
    assert office.desk.tick() == 1
    expired = office.desk.book.get(sent.order.order_id)
    assert (expired.state, expired.at(Trigger.EXPIRE)) == (
        OrderState.EXPIRED,
        NOW + 48 * HOUR_US,
    )


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        ({"name": "李四"}, ["NAME_MISMATCH"]),
        ({"amount_fen": 1}, ["AMOUNT_MISMATCH"]),
        ({"transfer_at": UnixMicros(5)}, ["TIME_MISMATCH"]),
        (
            {"name": "x", "amount_fen": 1, "transfer_at": UnixMicros(5)},
            ["NAME_MISMATCH", "AMOUNT_MISMATCH", "TIME_MISMATCH"],
        ),
        ({"number": "6217000000000000046"}, ["ACCOUNT_MISMATCH"]),
    ],
)
def test_what_does_not_match_stops_nothing(
    office: Office, changes: dict[str, Any], failures: list[str]
) -> None:
    record = office.order(**changes)
    assert record.state is OrderState.MISMATCHED
    assert record.feedback["failures"] == failures
    assert office.published == []
    assert office.bank.holds(NUMBERS[0]) == []


def test_one_officer_stops_nothing_and_cannot_sign_twice(office: Office) -> None:
    name = office.draft().application.order_id
    office.sign(name, "li")
    with pytest.raises(OrderRefusedError) as caught:
        office.sign(name, "li")
    assert caught.value.reason is Reason.SAME_OFFICER
    with pytest.raises(OrderRefusedError) as caught:
        office.desk.book.check_send(name, NOW)
    assert caught.value.reason is Reason.NOT_SIGNED_BY_TWO
    assert office.published == []
    office.clock.advance(DRAFT_LIFE_US)
    office.desk.tick()
    assert office.desk.book.get(name).state is OrderState.LAPSED


def test_a_borrowed_key_a_wrong_area_and_an_altered_signature_are_refused(office: Office) -> None:
    name = office.draft().application.order_id
    good = office.signature(name, "wang")
    attempts = [
        (officer("zhao"), good, Reason.UNKNOWN_SIGNER),
        (officer("wang", "140600"), good, Reason.WRONG_TIER),
        (officer("wang"), Signature(good.protected, bytes(64)), Reason.BAD_SIGNATURE),
        (officer("wang"), Signature(b"\xff", good.value), Reason.BAD_SIGNATURE),
    ]
    for actor, signature, reason in attempts:
        with pytest.raises(OrderRefusedError) as caught:
            office.desk.sign(actor, name, signature)
        assert caught.value.reason is reason
    assert office.desk.book.get(name).signers == ()
    office.find_key = lambda kid: None  # removed from the bundle
    with pytest.raises(OrderRefusedError) as caught:
        office.sign(name, "wang")
    assert caught.value.reason is Reason.UNKNOWN_SIGNER


def test_an_officer_whose_time_is_over_signs_nothing_the_machines_would_refuse(
    office: Office,
) -> None:
    office.clock.advance(1000 * HOUR_US)
    name = office.draft().application.order_id
    with pytest.raises(OrderRefusedError) as caught:
        office.sign(name, "li")
    assert caught.value.reason is Reason.UNKNOWN_SIGNER


def test_an_officer_removed_after_signing_spoils_the_order(office: Office) -> None:
    name = office.draft().application.order_id
    office.sign(name, "li")
    li = KeySigner(OFFICERS["li"]).kid
    office.find_key = lambda kid: None if kid == li else FIND(kid)
    assert office.sign(name, "wang").state is OrderState.REFUSED
    assert office.bank.holds(NUMBERS[0]) == []


@pytest.mark.parametrize("area", ["140000", "140500", "000000"])
def test_a_tier_above_may_sign_for_one_below(office: Office, area: str) -> None:
    name = office.draft(area="140522").application.order_id
    office.desk.sign(officer("wang", area), name, office.signature(name, "wang"))
    assert office.desk.book.get(name).signers == ("wang",)


def test_the_same_application_twice_is_a_duplicate(office: Office) -> None:
    office.order(application_id="A-same")
    error = refused(office, Reason.DUPLICATE, application_id="A-same")
    assert error.return_code == "200003"


def test_a_third_stop_is_refused_and_names_the_freeze(office: Office) -> None:
    office.order()
    office.clock.advance(49 * HOUR_US)
    office.desk.tick()
    second = office.order()
    assert office.desk.book.times(second.application.order_id) == 2
    assert refused(office, Reason.MAX_TWO_STOPS).hint == "100201"
    assert office.order(OrderKind.FREEZE).state is OrderState.FED_BACK


def test_two_drafts_cannot_slip_past_the_limit(office: Office) -> None:
    names = [office.draft().application.order_id for _ in range(3)]
    states = [office.sign(name).state for name in names]
    assert states == [OrderState.FED_BACK, OrderState.FED_BACK, OrderState.REFUSED]
    assert office.desk.book.executed_stops(card_ref(NUMBERS[0], KEY).hmac) == 2


def test_a_release_ends_the_stop_at_once_and_wrong_minutes_are_counted(office: Office) -> None:
    stop = office.order()
    office.clock.advance(90 * 60 * 1_000_000)
    release = office.order(OrderKind.RELEASE_STOP, ground=Ground.WRONG_ACCOUNT.value)
    assert release.feedback["code"] == "100104"
    name = stop.application.order_id
    assert office.desk.book.get(name).state is OrderState.RELEASED
    assert office.bank.holds(NUMBERS[0]) == []
    found = wrongly_held(office.desk.book, NOW, NOW + 24 * HOUR_US)
    assert (found.total_minutes, found.median_minutes) == (90.0, 90.0)
    refused(office, Reason.NOTHING_TO_END, OrderKind.RELEASE_STOP)


def test_a_renewed_hold_is_wrong_from_its_first_order_on_and_no_minute_counts_twice(
    office: Office,
) -> None:
    office.order()
    office.clock.advance(47 * HOUR_US)
    office.order(OrderKind.EXTEND_STOP)
    office.order(OrderKind.FREEZE)  # both hold the account from here on
    office.clock.advance(13 * HOUR_US)  # the first order's own 48 hours are over
    office.order(OrderKind.RELEASE_STOP, ground=Ground.WRONG_ACCOUNT.value)
    office.order(OrderKind.RELEASE_FREEZE, ground=Ground.APPEAL_GRANTED.value)
    found = wrongly_held(office.desk.book, NOW, NOW + 100 * HOUR_US)
    [hold] = found.holds
    assert found.total_minutes == 60 * 60
    assert hold.grounds == (Ground.APPEAL_GRANTED, Ground.WRONG_ACCOUNT)
    assert wrongly_held(office.desk.book, NOW, NOW + 50 * HOUR_US).holds == ()


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted).map(tuple)))
def test_spans_together_are_as_long_as_what_they_cover(spans: list[tuple[int, int]]) -> None:
    covered = {moment for start, end in spans for moment in range(start, end)}
    assert together_us(spans) == len(covered)


@pytest.mark.parametrize("kind", [OrderKind.LIST_UPDATE, OrderKind.NUMBER_REPORT])
def test_a_report_of_numbers_or_lists_takes_two_and_holds_nothing(
    office: Office, kind: OrderKind
) -> None:
    name = office.draft(kind, account=None).application.order_id
    assert office.sign(name, "li").state is OrderState.DRAFTED
    record = office.sign(name, "wang")
    assert record.state is OrderState.FED_BACK
    assert record.signers == ("li", "wang")
    assert office.published == []
    assert not record.is_live(NOW)
    assert office.desk.book.open() == []
    refused(office, Reason.DUPLICATE, kind, application_id=record.application.application_id)


def test_a_limited_freeze_leaves_the_rest_usable_and_is_renewed_before_its_end(
    office: Office,
) -> None:
    freeze = office.order(OrderKind.FREEZE, limit_fen=2_800_000)
    assert (freeze.held_fen, freeze.feedback["usable_fen"]) == (2_800_000, 2_200_000)
    office.clock.advance(40 * 24 * HOUR_US)
    office.order(OrderKind.EXTEND_FREEZE, limit_fen=2_800_000)
    name = freeze.application.order_id
    assert office.desk.book.get(name).state is OrderState.EXTENDED
    assert office.bank.usable_fen(NUMBERS[0]) == 2_200_000
    office.clock.advance(190 * 24 * HOUR_US)
    office.desk.tick()
    refused(office, Reason.TOO_LATE, OrderKind.EXTEND_FREEZE)


def test_a_release_also_names_what_was_renewed_and_still_runs_at_the_machines(
    office: Office,
) -> None:
    first = office.order(OrderKind.FREEZE)
    second = office.order(OrderKind.EXTEND_FREEZE)
    release = office.order(OrderKind.RELEASE_FREEZE)
    both = {first.application.order_id, second.application.order_id}
    assert set(release.application.targets) == both


def test_two_tiers_add_up_and_a_stop_with_its_freeze_counts_once(office: Office) -> None:
    # Boxing, 2016-05-11: 1,475,000 yuan on two tiers.
    office.bank.accounts[NUMBERS[0]].balance_fen = 100_000_000
    office.bank.accounts[NUMBERS[1]].balance_fen = 47_500_000
    office.order()
    office.order(OrderKind.FREEZE)
    office.order(number=NUMBERS[1], parent=card_ref(NUMBERS[0], KEY).hmac, tier=2)
    assert held_fen(office.desk.book, "C-1", NOW) == 147_500_000
    assert [node.tier for node in account_tree(office.desk.book, "C-1", NOW)] == [1, 2]


def test_each_account_stands_once_below_its_parent_and_sums_do_not_overlap() -> None:
    def node(name: int, parent: int | None, fen: int) -> Node:
        above = None if parent is None else bytes([parent])
        return Node(bytes([name]), f"{name:04}", 1, above, fen, ())

    chain = [node(1, None, 5), node(2, 1, 7), node(3, 1, 11), node(4, 2, 13), node(5, 99, 17)]
    found = branches(chain)
    shown = [(one.node.account[0], one.depth, one.with_children_fen) for one in found]
    assert shown == [(1, 0, 36), (2, 1, 20), (4, 2, 13), (3, 1, 11), (5, 0, 17)]
    ring = branches([node(1, 3, 5), node(2, 1, 7), node(3, 2, 11)])
    assert [(one.node.account[0], one.depth) for one in ring] == [(1, 0), (2, 1), (3, 2)]
    assert ring[0].with_children_fen == 23


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 99)), max_size=9))
def test_no_tree_loses_or_doubles_money(accounts: list[tuple[int, int, int]]) -> None:
    every = {a: Node(bytes([a]), "0000", 1, bytes([b]), fen, ()) for a, b, fen in accounts}
    found = branches(every.values())
    assert sorted(one.node.account for one in found) == sorted(bytes([a]) for a in every)
    tops = sum(one.with_children_fen for one in found if one.depth == 0)
    assert tops == sum(node.held_fen for node in every.values())


def test_a_watch_is_silent_for_the_machines_and_a_link_needs_an_end(office: Office) -> None:
    until = UnixMicros(NOW + 100 * HOUR_US)
    office.order(OrderKind.WATCH, until=until)
    assert office.published == []
    account = card_ref(NUMBERS[0], KEY).hmac
    assert len(office.desk.book.live(account, NOW, Hold.WATCH)) == 1
    office.order(OrderKind.CROSS_ATM_LINK, until=until)
    assert len(office.published) == 1
    office.order(OrderKind.END_CROSS_ATM_LINK, account=None)
    assert len(office.published) == 2
    refused(office, Reason.MALFORMED, OrderKind.SUSPEND)


class DumbBank:
    """Does not answer at first."""

    def __init__(self, bank: SimulatedBank, silent: int) -> None:
        self.bank, self.silent = bank, silent

    def submit(self, request: BankRequest) -> Feedback:
        feedback = self.bank.submit(request)
        if self.silent:
            self.silent -= 1
            raise BankError("no answer")  # it was done, and the answer was lost
        return feedback


def test_a_lost_answer_and_a_restart_do_an_order_once(office: Office) -> None:
    office.desk = office.open(bank=DumbBank(office.bank, 1))
    name = office.draft().application.order_id
    assert office.sign(name).state is OrderState.SENT
    office.desk = office.open()
    assert office.desk.tick() == 1
    assert office.desk.book.get(name).state is OrderState.FED_BACK
    assert len(office.bank.holds(NUMBERS[0])) == 1
    assert len(office.published) == 1


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_kill_between_any_two_steps_ends_in_the_same_book(cut: int) -> None:
    office = Office()
    name = office.order().application.order_id
    whole = [event.trigger for event in office.log.events]
    office.log.events = office.log.events[:cut]
    office.desk = office.open()
    for signer in ("li", "wang"):
        record = office.desk.book.get(name)
        if record.state is OrderState.DRAFTED and signer not in record.signers:
            office.sign(name, signer)
    office.desk.tick()
    assert [event.trigger for event in office.log.events] == whole
    assert len(office.bank.holds(NUMBERS[0])) == 1
    assert len(set(office.published)) == 1


def test_full_numbers_stand_in_the_sealed_column_alone(office: Office, tmp_path: Path) -> None:
    name = office.order().application.order_id
    everything = repr(office.log.events) + repr(office.desk.open_sealed(name))
    everything += repr(office.published)
    assert NUMBERS[0] not in everything
    assert "张三" not in everything
    assert office.desk.open_sealed(name).number == NUMBERS[0]
    assert masked(NUMBERS[0]) == "**** 0012"
    vault = Vault.at(tmp_path / "sealed.key")
    sealed = vault.seal(name, Sealed(number="1", name="n"))
    assert Vault.at(tmp_path / "sealed.key").open(name, sealed).name == "n"
    for wrong in (b"\x01" * 16, name[:-1] + b"\xff"):
        with pytest.raises(SealedError):
            vault.open(wrong, sealed)
    with pytest.raises(SealedError):
        vault.open(name, sealed[:-1])


def test_the_platforms_codes_are_a_table_that_is_checked(tmp_path: Path) -> None:
    codes = load_codes()
    assert codes.kind("100101") is OrderKind.STOP_PAYMENT
    with pytest.raises(PlatformError):
        codes.kind("999999")
    path = tmp_path / "p.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(PlatformError, match=r"p\.json"):
        load_codes(path)
    for kind, code in codes.requests.items():
        wire = KINDS[kind].wire
        assert wire is None or wire.txcode == code


def test_every_state_is_reached_by_the_table_and_no_end_is_left() -> None:
    reached = {OrderState.DRAFTED, *TRANSITIONS.values()}
    assert reached == set(OrderState)
    ends = set(OrderState) - {state for state, _ in TRANSITIONS}
    assert not any(state.is_live for state in ends)


# -- no sequence ---------------------------------------------------------------------------------


class AnySequence(RuleBasedStateMachine):
    """Drafts, signatures, releases, extensions, restarts and time, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self._folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self._folder.name), clock=self.office.clock)
        self.atm = self.bench.open()
        self.deliver(signed(OrderType.OFFICERS, 1))
        self.carried = 0

    def teardown(self) -> None:
        self.bench.store.close()
        self._folder.cleanup()

    def deliver(self, raw: bytes) -> None:
        is_bundle = not self.office.published
        channel = Channel.CONFIGURATION if is_bundle else Channel.ORDERS
        self.atm.take(channel, delivered(raw, wall=self.office.clock.wall()))
        self.atm.step()

    @rule(kind=st.sampled_from(OrderKind), number=st.sampled_from(NUMBERS),
          is_right=st.booleans())  # fmt: skip
    def draft(self, kind: OrderKind, number: str, is_right: bool) -> None:
        try:
            self.office.draft(kind, number, "张三" if is_right else "李四", **self.end_of(kind))
        except OrderRefusedError:
            return

    @precondition(lambda self: len(list(self.office.desk.book)) > 0)
    @rule(pick=st.integers(0, 10**6), name=st.sampled_from(sorted(OFFICERS)))
    def sign(self, pick: int, name: str) -> None:
        records = list(self.office.desk.book)
        order_id = records[pick % len(records)].application.order_id
        try:
            self.office.sign(order_id, name)
        except OrderRefusedError:
            return

    @rule(kind=st.sampled_from(OrderKind), number=st.sampled_from(NUMBERS))
    def order_at_once(self, kind: OrderKind, number: str) -> None:
        self.order(kind, number)

    def end_of(self, kind: OrderKind) -> dict[str, Any]:
        """What no law ends bears its own end."""
        if KINDS[kind].begins is None or KINDS[kind].term is not None:
            return {}
        return {"until": UnixMicros(self.office.clock.wall() + HOUR_US)}

    def order(self, kind: OrderKind, number: str) -> None:
        try:
            self.office.order(kind, number=number, **self.end_of(kind))
        except OrderRefusedError:
            return

    @rule(number=st.sampled_from(NUMBERS), is_stop=st.booleans())
    def hold_and_let_go(self, number: str, is_stop: bool) -> None:
        hold, end = (
            (OrderKind.STOP_PAYMENT, OrderKind.RELEASE_STOP)
            if is_stop
            else (OrderKind.FREEZE, OrderKind.RELEASE_FREEZE)
        )
        for kind in (hold, end):
            self.order(kind, number)
            self.nothing_is_held_without_a_live_order()

    @rule(minutes=st.sampled_from([1, 31, 600, 2880, 100_000]))
    def wait(self, minutes: int) -> None:
        self.office.clock.advance(minutes * 60 * 1_000_000)

    @rule()
    def restart(self) -> None:
        self.office.desk = self.office.open()

    @rule()
    def tick(self) -> None:
        self.office.desk.tick()
        self.atm.step()

    @invariant()
    def nothing_is_held_without_a_live_order(self) -> None:
        for raw in self.office.published[self.carried :]:
            self.deliver(raw)
        self.carried = len(self.office.published)
        now = self.office.clock.wall()
        for number in NUMBERS:
            ref = card_ref(number, KEY)
            book = self.office.desk.book
            live = {
                hold
                for hold in (Hold.STOP, Hold.FREEZE, Hold.WATCH)
                if book.live(ref.hmac, now, hold)
            }
            assert {held.hold for held in self.office.bank.holds(number)} == live
            if self.atm.hold_on(ref) is not None:
                assert live & {Hold.STOP, Hold.FREEZE}
        for record in self.office.desk.book:
            if record.is_live(now):
                assert record.at(Trigger.EXECUTE) is not None
                assert len(set(record.signers)) == 2
                assert record.application.until is not None  # nothing holds for ever
                assert now < record.application.until

    @invariant()
    def nothing_takes_effect_with_fewer_than_two_valid_signatures(self) -> None:
        for record in self.office.desk.book:
            if record.at(Trigger.SEND) is not None:
                assert len(set(record.signers)) == 2
        for raw in self.office.published:
            assert len(open_order(raw, tenant=TENANT, find_key=FIND).signers) >= 2


AnySequence.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestAnySequence = AnySequence.TestCase
