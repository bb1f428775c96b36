"""The ATMs' lists at the central: rows, two people, versions, deltas from anywhere, rollback."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, StaleError, UnknownError
from central.audit import AuditLog
from central.clocks import load_law, midnight
from central.lists import ListDesk, ListKeeper, LiveHold, TenantKey, WireHolds
from central.lists.entries import Entry, ListWord, RefusedRow, over_on, read_entries
from central.lists.keys import TenantKeys
from central.lists.staleness import atm_lists
from central.orders.sealed import Vault
from central.store import lists as stored
from central.store.interface import StoreUnavailableError
from contract.account_list import (
    AccountList,
    Listed,
    ListedFor,
    Regime,
    apply_delta,
    open_manifest,
)
from contract.accounts import CardRef, card_ref
from contract.clock import UnixMicros
from contract.cosign import open_order
from contract.envelope import open_envelope
from contract.keys import CENTRAL, KeySigner, KnownKey
from contract.messages import ListNotice
from contract.orders import AccountHold, AccountRelease
from contract.topics import Lane
from contract.words import AlertKind, DeviceKind, OrderType
from tests.central.kit import CENTRAL_KEY, START, TENANT, Central, Station, a_decision
from tests.orders import FIND, HOUR_US, NOW, signed

LAW = load_law()
KEY = TenantKey(number=1, secret=b"k" * 32)
LI = Actor("li", frozenset({Role.DUTY_OFFICER}), frozenset({"000000"}))
WANG = Actor("wang", frozenset({Role.REVIEWER}), frozenset({"000000"}))
DAY_US = 24 * 3600 * 1_000_000
PAN = "6216261000000000018"
OTHER = "6216261000000000026"
HEADER = "account,listed_for,from,ground,until,note\n"


def sanctioned(pan: str = PAN, since: str = "2025-12-01") -> str:
    return f"{pan},sanction,{since},IDENTIFIED_BY_POLICE,,\n"


@dataclass
class Kit:
    central: Central
    folder: Path
    holds: dict[bytes, LiveHold] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keeper = self.new_keeper()
        self.desk = ListDesk(
            self.central.store,
            self.central.clock,
            law=LAW,
            vault=lambda: Vault(b"v" * 32),
            keys=lambda: [KEY],
            area="000000",
        )

    def new_keeper(self) -> ListKeeper:
        return ListKeeper(
            self.central.store,
            self.central.intake,
            self.folder / "lists",
            tenant=TENANT,
            signer=KeySigner(CENTRAL_KEY),
            clock=self.central.clock,
            holds=lambda now: {k: h for k, h in self.holds.items() if h.until > now},
        )

    def approve(self, change: int) -> None:
        self.desk.decide(WANG, change, is_approved=True)
        assert self.keeper.step()

    def put(self, rows: str) -> None:
        lines = (HEADER + rows).splitlines(keepends=True)
        self.approve(self.desk.propose_file(LI, "list.csv", lines, "asked by the bank"))

    def find(self, pan: str) -> Listed | None:
        assert self.keeper.files.newest is not None
        return self.keeper.files.newest.find(card_ref(pan, KEY.secret).hmac)

    @property
    def version(self) -> int:
        assert self.keeper.files.newest is not None
        return self.keeper.files.newest.manifest.version

    def stop(self, pan: str, until: int, number: int = 1) -> None:
        name = bytes([number]) * 16
        self.holds[name] = LiveHold(name, card_ref(pan, KEY.secret), ListedFor.STOP, until)

    def notices(self) -> list[tuple[str, ListNotice]]:
        known = KnownKey(CENTRAL, CENTRAL_KEY.public_key())
        found = []
        for topic, raw in self.central.intake.published:
            if topic.endswith("/list"):
                body = open_envelope(raw, tenant=TENANT, find_key=lambda kid: known).body
                assert isinstance(body, ListNotice)
                found.append((topic, body))
        return found


@pytest.fixture
def kit(either: Central, tmp_path: Path) -> Kit:
    """The lists over each kind of database."""
    return Kit(either, tmp_path)


@pytest.fixture
def lite(central: Central, tmp_path: Path) -> Kit:
    return Kit(central, tmp_path)


# -- rows ------------------------------------------------------------------------------------------


def read(text: str) -> list[Entry | RefusedRow]:
    return list(read_entries(text.splitlines(keepends=True), LAW, START))


def test_rows_are_taken_or_refused_each_by_its_line() -> None:
    rows = read(
        HEADER
        + sanctioned()
        + f"{OTHER},stop,,,,\n"
        + "12345,watch,,,,\n"
        + f"{OTHER},nonsense,,,,\n"
        + f"{OTHER},sanction,2025-12-01,,,\n"
        + f"{OTHER},watch,,,2025-12-31,\n"
        + f"{OTHER},watch,,,32 March,\n"
        + sanctioned()
        + f"{OTHER},sanction,2015-01-01,IDENTIFIED_BY_POLICE,,\n"
        + "\n"
        + f"{OTHER[:4]} {OTHER[4:]},watch,,,2026-12-31,seen in a case\n"
    )
    good = [row for row in rows if isinstance(row, Entry)]
    assert [(row.line, row.word) for row in good] == [(2, "sanction"), (12, "watch")]
    assert good[0].regime is Regime.JOINT_2024
    assert good[0].until_at == midnight(dt.date(2027, 12, 1))  # two years, by the row in force
    refused = {row.line: row.reason for row in rows if isinstance(row, RefusedRow)}
    assert sorted(refused) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert "two officers sign" in refused[3]
    assert "12 to 19 digits" in refused[4]
    assert "its ground" in refused[6]
    assert "over on 2025-12-31" in refused[7]
    assert "YYYY-MM-DD" in refused[8]
    assert "a row before" in refused[9]
    assert "no rule on sanction is in force" in refused[10]
    assert not any(pan in words for words in refused.values() for pan in (PAN, OTHER, "12345"))
    assert PAN not in repr(good[0])


def test_a_file_without_its_header_is_one_refusal() -> None:
    [row] = read("number;why\n1;2\n")
    assert isinstance(row, RefusedRow)
    assert row.line == 1


@given(st.text(max_size=300))
def test_any_text_is_rows_or_refusals(text: str) -> None:
    for row in read(text) + read(HEADER + text):
        assert isinstance(row, Entry | RefusedRow)
        assert row.line >= 1


@given(st.integers(START, START + 400 * DAY_US))
def test_an_entry_is_never_over_too_early_at_a_machine(until: int) -> None:
    day = over_on(until)
    assert day is not None
    assert until <= midnight(day) < until + DAY_US


# -- two people ------------------------------------------------------------------------------------


def test_one_proposes_and_another_approves(kit: Kit) -> None:
    kit.keeper.step()
    assert kit.version == 1  # an empty list is a list: machines have something to be fresh by
    lines = (HEADER + sanctioned() + "1,watch,,,,\n").splitlines(keepends=True)
    change = kit.desk.propose_file(LI, "list.csv", lines, "")
    assert not kit.keeper.step()  # nothing is in force yet
    with pytest.raises(RuleError, match="two different people"):
        kit.desk.decide(LI, change, is_approved=True)
    kit.approve(change)
    listed = kit.find(PAN)
    assert listed == Listed(ListedFor.SANCTION, Regime.JOINT_2024, dt.date(2027, 12, 1))
    with pytest.raises(StaleError):
        kit.desk.decide(WANG, change, is_approved=False)
    with pytest.raises(UnknownError):
        kit.desk.decide(WANG, 99, is_approved=True)
    elsewhere = Actor("he", frozenset(Role), frozenset({"530000"}))
    with pytest.raises(NotCoveredError):
        kit.desk.decide(elsewhere, change, is_approved=True)
    with kit.central.store.reading() as connection:
        row = stored.change(connection, change)
        [entry] = stored.entries_of_change(connection, change, 10)
    assert row is not None
    assert (row.taken, row.refused, row.version) == (1, 1, 2)
    assert row.refusals == [[3, "an account has 12 to 19 digits"]]
    assert Vault(b"v" * 32).open(entry.seal_id or b"", entry.sealed or b"").number == PAN
    acts = [row.action for row in kit.central.store.audit_chain()]
    assert acts == ["list.propose", "list.approved", "list.change"]
    assert AuditLog(kit.central.store, kit.central.clock).verify().is_intact


def test_what_is_declined_never_comes_and_an_empty_file_is_no_proposal(lite: Kit) -> None:
    lite.keeper.step()
    change = lite.desk.propose_file(LI, "f", [HEADER, sanctioned()], "")
    lite.desk.decide(WANG, change, is_approved=False)
    assert not lite.keeper.step()
    assert lite.find(PAN) is None
    with pytest.raises(RuleError, match="line 2: an account"):
        lite.desk.propose_file(LI, "f", [HEADER, "1,watch,,,,\n"], "")
    with lite.central.store.reading() as connection:
        assert len(stored.changes(connection, 10)) == 1


def test_an_account_goes_off_for_one_reason_and_stays_for_another(kit: Kit) -> None:
    kit.put(sanctioned() + f"{PAN},watch,,,,\n")
    kit.approve(kit.desk.propose_removal(LI, PAN, [ListWord.SANCTION], "an appeal was granted"))
    assert kit.find(PAN) == Listed(ListedFor.WATCH)
    kit.approve(kit.desk.propose_removal(LI, PAN, [ListWord.WATCH], ""))
    assert kit.find(PAN) is None
    with pytest.raises(UnknownError):
        kit.desk.propose_removal(LI, PAN, [ListWord.WATCH], "")


def test_a_visit_with_a_watched_account_is_told_to_the_central_alone(kit: Kit) -> None:
    """Judged by the list in force when it was decided, however late the machine could say so."""
    atm = kit.central.enrol(Station(device="atm-1", seed=5))
    times: list[int] = []

    def visit(at: int, pan: str = PAN) -> None:
        card = card_ref(pan, KEY.secret)
        decision = a_decision(card=card, visit=f"{len(times):06}", decided_at=UnixMicros(at))
        kit.central.take(atm.topic(Lane.DECISIONS), atm.next(decision))
        times.append(at)

    def told() -> list[str]:
        found = kit.central.store.alerts(10)
        assert {row.kind for row in found} <= {AlertKind.WATCHED_ACCOUNT}
        return sorted(row.subject["visit"] for row in found)

    visit(START)
    kit.central.clock.advance(HOUR_US)
    kit.put(f"{PAN},watch,,,,\n{OTHER},sanction,2025-12-01,IDENTIFIED_BY_POLICE,,\n")
    kit.central.clock.advance(HOUR_US)
    visit(START + 2 * HOUR_US)
    visit(START + 2 * HOUR_US, OTHER)
    assert told() == ["000001"]
    kit.approve(kit.desk.propose_removal(LI, PAN, [ListWord.WATCH], ""))
    kit.central.clock.advance(HOUR_US)
    visit(START + 3 * HOUR_US)
    visit(START + 90 * 60 * 1_000_000)  # while it was watched, sent only now
    visit(START + 1)  # before it was watched
    assert told() == ["000001", "000004"]


def test_a_look_up_is_on_record_without_its_number(lite: Kit) -> None:
    lite.put(sanctioned())
    [entry] = lite.desk.find(LI, PAN)
    assert entry.last4 == PAN[-4:]
    assert lite.desk.find(LI, OTHER) == []
    with pytest.raises(RuleError, match="12 to 19 digits"):
        lite.desk.find(LI, "1234")
    everything = str([vars(row) if hasattr(row, "__dict__") else row for row in
                      lite.central.store.audit_chain()])  # fmt: skip
    assert PAN not in everything
    assert PAN.encode() not in (lite.central.path.read_bytes())


def test_sanctions_that_follow_one_another_are_capped_by_the_law(lite: Kit) -> None:
    """JOINT-2024: five years in all, however often somebody is listed again."""
    lite.central.clock.advance(3 * 365 * DAY_US)  # it is the end of 2028
    lite.put(f"{PAN},sanction,2026-06-01,CRIMINAL_PENALTY,,\n")
    lite.put(f"{PAN},sanction,2028-11-01,CRIMINAL_PENALTY,,\n")
    listed = lite.find(PAN)
    assert listed is not None
    assert listed.until == dt.date(2031, 6, 1)


# -- orders and terms ------------------------------------------------------------------------------


def test_live_orders_are_on_the_list_and_end_with_their_orders(kit: Kit) -> None:
    until = START + 2 * DAY_US - 5 * 3_600_000_000
    kit.put(sanctioned())
    kit.stop(PAN, until)
    assert kit.keeper.step()
    listed = kit.find(PAN)
    assert listed is not None
    assert listed.listed_for == ListedFor.STOP | ListedFor.SANCTION
    assert listed.until == dt.date(2027, 12, 1)  # the last of its parts; each goes in its time
    kit.stop(OTHER, until, number=2)
    assert kit.keeper.step()
    assert kit.find(OTHER) == Listed(ListedFor.STOP, until=over_on(until))
    del kit.holds[b"\x02" * 16]  # released
    assert kit.keeper.step()
    assert kit.find(OTHER) is None
    kit.central.clock.advance(2 * DAY_US)  # over by itself
    assert kit.keeper.step()
    listed = kit.find(PAN)
    assert listed is not None
    assert listed.listed_for == ListedFor.SANCTION
    assert not kit.keeper.step()


def test_the_term_of_a_row_ends_without_any_person(lite: Kit) -> None:
    lite.put(f"{PAN},watch,,,2026-01-04,\n")
    assert lite.find(PAN) == Listed(ListedFor.WATCH, until=dt.date(2026, 1, 4))
    lite.central.clock.advance(midnight(dt.date(2026, 1, 4)) - START - 3_000_000)
    assert not lite.keeper.step()
    lite.central.clock.advance(4_000_000)
    assert lite.keeper.step()
    assert lite.find(PAN) is None


def test_signed_orders_give_the_holds_and_their_releases_end_them(central: Central) -> None:
    holds, card = WireHolds(central.store), card_ref(PAN, KEY.secret)
    until = UnixMicros(NOW + 48 * HOUR_US)

    def give(number: int, type_: OrderType, body: AccountHold | AccountRelease) -> bytes:
        made = open_order(signed(type_, number, body=body), tenant=TENANT, find_key=FIND)
        central.store.add_order(made, [])
        return made.order.order_id

    stop = give(1, OrderType.STOP_PAYMENT, AccountHold(account=card, until=until))
    assert set(holds(NOW)) == {stop}
    assert holds(NOW)[stop].listed_for is ListedFor.STOP
    wrong = CardRef(hmac=bytes(32), last4="0000")
    give(2, OrderType.RELEASE_STOP, AccountRelease(account=wrong, releases=(stop,)))
    assert set(holds(NOW)) == {stop}  # a release of another account ends nothing
    give(3, OrderType.RELEASE_STOP, AccountRelease(account=card, releases=(stop,)))
    assert not holds(NOW)
    freeze = give(4, OrderType.FREEZE, AccountHold(account=card, until=until))
    assert set(holds(until - 1)) == {freeze}
    assert not holds(until)


# -- versions --------------------------------------------------------------------------------------


def test_going_back_is_a_new_version_and_leaves_orders_alone(kit: Kit) -> None:
    kit.put(sanctioned())
    good = kit.version
    kit.stop(OTHER, START + DAY_US)
    kit.keeper.step()
    kit.put("".join(f"62162620000000{n:05},watch,,,,\n" for n in range(200)))
    kit.approve(kit.desk.propose_removal(LI, PAN, [ListWord.SANCTION], "by mistake"))
    assert kit.find(PAN) is None
    before = kit.version
    kit.approve(kit.desk.propose_rollback(LI, good, "the file was another city's"))
    assert kit.version == before + 1
    assert kit.find(PAN) == Listed(ListedFor.SANCTION, Regime.JOINT_2024, dt.date(2027, 12, 1))
    assert kit.find("6216262000000000005") is None
    assert kit.find(OTHER) is not None  # a live stop ends by its officers' release alone
    kit.approve(kit.desk.propose_rollback(LI, before, "it was ours after all"))
    assert kit.find("6216262000000000005") == Listed(ListedFor.WATCH)
    assert kit.find(PAN) is None
    with pytest.raises(UnknownError):
        kit.desk.propose_rollback(LI, kit.version, "")


def test_the_way_from_any_version_leads_to_the_one_in_force(kit: Kit, tmp_path: Path) -> None:
    kit.put("".join(f"62162620000000{n:05},watch,,,,\n" for n in range(50)))
    first = kit.keeper.files.newest
    assert first is not None
    copy = tmp_path / "first.list"
    copy.write_bytes((tmp_path / "lists" / f"accounts-{kit.version}.list").read_bytes())
    old = AccountList(copy, first.manifest)
    kit.put(sanctioned())
    kit.approve(kit.desk.propose_removal(LI, "6216262000000000005", [ListWord.WATCH], ""))
    way = kit.keeper.files.way(old.manifest.version)
    newest = kit.keeper.files.newest
    assert way is not None
    assert newest is not None
    led = apply_delta(old, way, tmp_path / "led.list", newest.manifest)
    assert led.find(card_ref(PAN, KEY.secret).hmac) is not None
    assert led.find(card_ref("6216262000000000005", KEY.secret).hmac) is None
    assert kit.keeper.files.way(kit.version) is None
    assert kit.keeper.files.way(0) is None


@pytest.mark.parametrize("cut", ["after_mark", "file_lost", "file_torn"])
def test_a_kill_between_two_steps_is_made_good(lite: Kit, cut: str) -> None:
    lite.put(sanctioned())
    before = lite.version
    if cut == "after_mark":
        change = lite.desk.propose_file(LI, "f", [HEADER, f"{OTHER},watch,,,,\n"], "")
        lite.desk.decide(WANG, change, is_approved=True)
        lite.keeper._finish = lambda version: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            lite.keeper.step()
    path = lite.folder / "lists" / f"accounts-{before}.list"
    if cut == "file_lost":
        path.unlink()
    if cut == "file_torn":
        path.write_bytes(b"torn")
    lite.keeper = lite.new_keeper()
    lite.keeper.step()
    assert lite.find(PAN) is not None
    assert (lite.find(OTHER) is not None) == (cut == "after_mark")
    assert lite.version == before + (cut == "after_mark")


words = st.sampled_from([word.value for word in ListWord if word is not ListWord.SANCTION])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.lists(st.tuples(st.integers(0, 9), words), min_size=1)),
        st.tuples(st.just("off"), st.tuples(st.integers(0, 9), words)),
        st.tuples(st.just("stop"), st.tuples(st.integers(0, 9), st.integers(1, 40))),
        st.tuples(st.just("release"), st.integers(0, 40)),
        st.tuples(st.just("back"), st.integers(1, 12)),
        st.tuples(st.just("wait"), st.integers(1, 30)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps)
def test_whatever_happens_the_deltas_make_the_same_bytes_as_the_store(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]
) -> None:
    """And no sequence leaves an account stopped without a live order, or a live order unlisted."""
    folder = tmp_path_factory.mktemp("steps")
    kit = Kit(Central(folder), folder)
    kit.keeper.step()
    hour = 3_600_000_000
    for number, (what, value) in enumerate(steps):
        now = int(kit.central.clock.wall())
        try:
            if what == "list":
                assert isinstance(value, list)
                rows = "".join(f"62162620000000{n:05},{word},,,,\n" for n, word in value)
                kit.put(rows)
            elif what == "off":
                assert isinstance(value, tuple)
                n, word = value
                pan = f"62162620000000{n:05}"
                kit.approve(kit.desk.propose_removal(LI, pan, [ListWord(word)], ""))
            elif what == "stop":
                assert isinstance(value, tuple)
                n, hours = value
                kit.stop(f"62162620000000{n:05}", now + hours * hour, number)
            elif what == "release":
                kit.holds.pop(bytes([value]) * 16, None)  # type: ignore[list-item]
            elif what == "back":
                assert isinstance(value, int)
                kit.approve(kit.desk.propose_rollback(LI, value, ""))
            else:
                assert isinstance(value, int)
                kit.central.clock.advance(value * hour)
        except UnknownError:
            pass
        kit.keeper.step()
        now = int(kit.central.clock.wall())
        live = {h.account.hmac for h in kit.holds.values() if h.until > now}
        for n in range(10):
            listed = kit.find(f"62162620000000{n:05}")
            is_stopped = listed is not None and ListedFor.STOP in listed.listed_for
            assert is_stopped == (card_ref(f"62162620000000{n:05}", KEY.secret).hmac in live)
    newest = kit.keeper.files.newest
    assert newest is not None
    (folder / "lists" / f"accounts-{kit.version}.list").unlink()
    again = kit.new_keeper()
    again.step()
    assert again.files.newest is not None
    assert again.files.newest.manifest.sha256 == newest.manifest.sha256  # from the store alone
    kit.central.store.close()


# -- telling ---------------------------------------------------------------------------------------


def test_machines_are_told_each_minute_and_at_each_change(lite: Kit) -> None:
    lite.central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5))
    lite.central.enrol(Station())
    lite.keeper.step()
    assert [topic for topic, _ in lite.notices()] == ["v1/demo/down/atm-1/list"]  # no van
    lite.put(sanctioned())
    told = lite.notices()
    assert len(told) == 2
    assert told[-1][1].delta
    for _ in range(59):
        lite.central.clock.advance(1_000_000)
        lite.keeper.step()
    assert len(lite.notices()) == 2
    lite.central.clock.advance(1_000_000)
    lite.keeper.step()
    told = lite.notices()
    assert len(told) == 3
    known = KnownKey(CENTRAL, CENTRAL_KEY.public_key())
    manifest = open_manifest(told[-1][1].manifest, tenant=TENANT, find_key=lambda kid: known)
    assert manifest.version == 2
    assert manifest.made_at == lite.central.clock.wall()  # the word is of this minute
    lite.central.intake.is_connected = False
    lite.put(f"{OTHER},watch,,,,\n")
    assert len(lite.notices()) == 3
    lite.central.intake.is_connected = True
    lite.keeper.step()
    assert len(lite.notices()) == 4  # what could not be told is told as soon as it can


def test_a_central_put_back_from_a_backup_draws_up_a_list_above_its_machines(lite: Kit) -> None:
    lite.central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5))
    lite.put(sanctioned())
    part = {"name": "lists", "state": "ok", "detail": "", "counters": {"version": 7, "age_s": 9}}
    with lite.central.store.transaction() as tx:
        tx.update_device("atm-1", health={"parts": [part]}, health_at=START)
    lite.central.clock.advance(61_000_000)
    assert lite.keeper.step()
    assert (lite.version, lite.find(PAN) is not None) == (8, True)
    lite.central.clock.advance(61_000_000)
    assert not lite.keeper.step()


def test_a_central_that_cannot_read_its_store_confirms_nothing(
    lite: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.put(sanctioned())
    assert lite.keeper.manifest() is not None

    def broken() -> None:
        raise StoreUnavailableError("disk")

    monkeypatch.setattr(lite.central.store, "reading", broken)
    with pytest.raises(StoreUnavailableError):
        lite.keeper.manifest()
    with pytest.raises(StoreUnavailableError):
        lite.keeper.step()


def test_how_old_the_list_is_at_each_machine(lite: Kit) -> None:
    lite.keeper.step()
    with lite.central.store.reading() as connection:
        newest = stored.newest_version(connection)
    base = lite.central.store
    for n, name in enumerate(("atm-1", "atm-2", "atm-3", "atm-4")):
        lite.central.enrol(Station(device=name, kind=DeviceKind.ATM, seed=20 + n))

    def report(name: str, counters: dict[str, int] | None) -> None:
        part = {"name": "lists", "state": "ok", "detail": "", "counters": counters or {}}
        with base.transaction() as tx:
            tx.update_device(name, health={"parts": [part]}, health_at=START)

    report("atm-1", {"version": 1, "age_s": 20})
    report("atm-2", {"version": 0, "age_s": 20})
    report("atm-3", {"version": 1, "age_s": 899})
    found = atm_lists(base.devices(), newest, START + 2_000_000)
    assert [(one.device, one.state, one.age_s) for one in found] == [
        ("atm-3", "stale", 901),
        ("atm-4", "none", None),
        ("atm-2", "behind", 22),
        ("atm-1", "current", 22),
    ]
    # silence is age too
    assert {one.state for one in atm_lists(base.devices(), newest, START + DAY_US)} == {
        "stale", "none",
    }  # fmt: skip


# -- keys ------------------------------------------------------------------------------------------


def test_the_tenants_key_is_born_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    keys = TenantKeys(tmp_path / "keys")
    first = keys.newest
    assert (first.number, len(first.secret)) == (1, 32)
    assert TenantKeys(tmp_path / "keys").newest.secret == first.secret
    file = tmp_path / "keys" / "1.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert first.secret.hex() not in repr(first)
    assert hashlib.sha256(first.secret).digest() != hashlib.sha256(keys.make(2).secret).digest()
    assert keys.newest.number == 2
