"""Feeds through the broker: put aside with their message, taken once, the sender told."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.config import load_settings
from central.store.interface import EventKind
from central.units import FeedDesk
from central.units.feeds import UnitKind
from central.units.inbox import NOT_BOUND, FeedInbox
from central.units.leads import open_lead_case
from contract.envelope import EnvelopeError, open_envelope
from contract.keys import KeySigner, KnownKey
from contract.messages import FeedReceipt, FeedReport
from contract.settings import ConfigError
from contract.topics import Channel, down
from contract.words import DeviceKind, FeedKind
from qianshao.feed_send import Answers, parts_of
from tests.central.kit import CENTRAL_KEY, START, TENANT, Central, Crash, Station, opened

LI = Actor("li", frozenset({Role.DUTY_OFFICER}), frozenset({"000000"}))
LEAD = "40,530102,25.0,102.7,500,in step\n"
LEADS = "numbers,area,lat,lon,radius_m,note\n"


class Gate:
    """A central whose ingest takes feeds, and the gateway of one unit."""

    def __init__(self, central: Central) -> None:
        self.central = central
        self.desk = FeedDesk(central.store, central.clock)
        self.desk.add_unit(LI, "mobile", "移动", "Mobile", UnitKind.OPERATOR, 24)
        self.inbox = FeedInbox(
            central.store, central.intake, tenant=TENANT, signer=KeySigner(CENTRAL_KEY),
            clock=central.clock, senders={"gate-1": "mobile"}, on_events=central.events.extend,
        )  # fmt: skip
        central.ingest = central.new_ingest(take_feed=self.inbox.note, area="530100")
        self.station = central.enrol(Station(device="gate-1", kind=DeviceKind.GATEWAY, seed=9))

    def send(self, report: FeedReport, station: Station | None = None) -> bytes:
        sender = station or self.station
        raw = sender.next(report)
        self.central.take(sender.topic(), raw)
        return raw

    def told(self, device: str = "gate-1") -> list[FeedReceipt]:
        """Receipts as the sender's own command reads them."""
        find = KnownKey("central", CENTRAL_KEY.public_key())
        answers = Answers(TENANT, device, lambda kid: find)
        for topic, raw in self.central.intake.published:
            if topic == down(TENANT, device, Channel.FEEDS):
                answers.take(Channel.FEEDS, raw)
        return [answers.came.get() for _ in range(answers.came.qsize())]


def a_report(kind: FeedKind, rows: str, **changes: object) -> FeedReport:
    values: dict[str, object] = {"unit": "mobile", "name": "may.csv", "at": START, **changes}
    return FeedReport(kind=kind, rows=rows, **values)  # type: ignore[arg-type]


def counts(central: Central, table: str) -> int:
    with central.store.reading() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


@pytest.fixture
def gate(either: Central) -> Gate:
    return Gate(either)


def test_rows_are_taken_after_the_commit_and_refusals_name_the_files_lines(gate: Gate) -> None:
    rows = "number\n13800138000\nabc\n13800138001\n"
    gate.send(a_report(FeedKind.NUMBERS, rows, lines_before=100))
    assert gate.desk.receipts(9) == []  # ingest itself takes no rows
    assert gate.inbox.step() == 2
    receipt = gate.desk.receipts(1)[0]
    assert (receipt.unit, receipt.taken, receipt.refused) == ("mobile", 2, 1)
    assert receipt.received_by == "gate-1"
    told = gate.told()
    assert [(one.seq, one.feed, one.taken, one.refused) for one in told] == [(1, receipt.id, 2, 1)]
    assert [row.line for row in told[0].refusals] == [103]
    assert gate.inbox.step() == 0


def test_a_message_that_comes_again_adds_nothing(gate: Gate) -> None:
    raw = gate.send(a_report(FeedKind.LEADS, LEADS + LEAD))
    gate.central.take(gate.station.topic(), raw, raw)
    gate.inbox.step()
    gate.central.take(gate.station.topic(), raw)
    gate.inbox.step()
    assert (len(gate.desk.receipts(9)), counts(gate.central, "cases")) == (1, 1)
    assert len(gate.told()) == 1


def test_a_crash_between_two_leads_leaves_none_and_the_next_start_takes_both(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def dies(*arguments: object) -> object:
        seen.append(arguments)
        if len(seen) == 2:
            raise Crash
        return open_lead_case(*arguments)  # type: ignore[arg-type]

    gate.send(a_report(FeedKind.LEADS, LEADS + LEAD + LEAD))
    monkeypatch.setattr("central.units.inbox.open_lead_case", dies)
    with pytest.raises(Crash):
        gate.inbox.step()
    assert (counts(gate.central, "cases"), gate.desk.receipts(9)) == (0, [])
    monkeypatch.undo()
    gate.inbox.step()
    assert (counts(gate.central, "cases"), gate.desk.receipts(9)[0].taken) == (2, 2)


def test_a_receipt_waits_for_the_broker_and_goes_once(gate: Gate) -> None:
    gate.send(a_report(FeedKind.INDICATORS, "name,period,value\ncalls,2026-01,143\n"))
    gate.central.intake.is_connected = False
    assert (gate.inbox.step(), gate.told()) == (1, [])
    gate.central.intake.is_connected = True
    assert (gate.inbox.step(), gate.inbox.step()) == (1, 0)
    assert [one.taken for one in gate.told()] == [1]


def test_who_is_not_bound_to_the_unit_is_refused_audited_and_raises_an_alert(gate: Gate) -> None:
    gate.desk.add_unit(LI, "unicom", "联通", "Unicom", UnitKind.OPERATOR, 24)
    stranger = gate.central.enrol(Station(device="atm-7", kind=DeviceKind.ATM, seed=10))
    rows = a_report(FeedKind.NUMBERS, "number\n13800138000\n")
    gate.send(rows, stranger)
    gate.send(a_report(FeedKind.NUMBERS, rows.rows, unit="unicom"))
    gate.inbox.step()
    assert (gate.desk.receipts(9), counts(gate.central, "numbers")) == ([], 0)
    for device in ("atm-7", "gate-1"):
        refused = gate.told(device)[0]
        assert (refused.feed, refused.taken) == (None, 0)
        assert [(row.line, row.reason) for row in refused.refusals] == [(0, NOT_BOUND)]
    audit = [r for r in gate.central.store.audit_rows(20) if r.action == "feed.refused"]
    assert {(r.actor, r.outcome) for r in audit} == {("atm-7", "refused"), ("gate-1", "refused")}
    raised = [e.data["alert"] for e in gate.central.events if e.kind is EventKind.ALERT]
    assert {a["kind"] for a in raised} == {"TOPIC_ACL_VIOLATION"}
    assert {a["subject"]["publisher"] for a in raised} == {"atm-7", "gate-1"}


def test_a_unit_that_nobody_added_gets_a_refusal_and_stops_no_other(gate: Gate) -> None:
    gate.inbox._senders = {"gate-1": "nobody"}
    gate.send(a_report(FeedKind.NUMBERS, "number\n1\n", unit="nobody"))
    gate.inbox._senders = {"gate-1": "mobile"}
    gate.send(a_report(FeedKind.NUMBERS, "number\n13800138000\n"))
    gate.inbox.step()
    assert [(one.feed is None, one.taken) for one in gate.told()] == [(True, 0), (False, 1)]


def test_a_lead_outside_the_senders_area_is_refused_by_its_line(gate: Gate) -> None:
    gate.send(a_report(FeedKind.LEADS, LEADS + LEAD + LEAD.replace("530102", "370832")))
    gate.inbox.step()
    told = gate.told()[0]
    assert (told.taken, [row.line for row in told.refusals]) == (1, [3])


# -- what comes from outside -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"unit": ""}, {"unit": "a\0"}, {"name": "x" * 201}, {"lines_before": -1}]
)
def test_a_report_with_impossible_names_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"names|lines_before"):
        a_report(FeedKind.NUMBERS, "number\n", **changes)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 4000), flip=st.integers(1, 255), cut=st.integers(0, 4000))
def test_a_damaged_report_is_refused_and_never_read_as_another(
    at: int, flip: int, cut: int
) -> None:
    station = Station(device="gate-1", seed=9)
    raw = bytearray(station.seal(a_report(FeedKind.NUMBERS, "number\n13800138000\n")))
    raw[at % len(raw)] ^= flip
    known = KnownKey("gate-1", station.key.public_key())
    for damaged in (bytes(raw), bytes(raw)[: cut % len(raw)]):
        with pytest.raises(EnvelopeError):
            open_envelope(damaged, tenant=TENANT, find_key=lambda kid: known)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(list(FeedKind)),
    rows=st.text(st.characters(codec="utf-8"), max_size=200),
    before=st.integers(0, 9),
)
def test_whatever_the_rows_hold_the_sender_gets_a_receipt(
    tmp_path_factory: pytest.TempPathFactory, kind: FeedKind, rows: str, before: int
) -> None:
    central = Central(tmp_path_factory.mktemp("any"))
    gate = Gate(central)
    report = a_report(kind, rows, lines_before=before)
    assert opened(gate.station, gate.station.seal(report)).body == report
    gate.send(report)
    gate.inbox.step()
    told = gate.told()[0]
    assert told.taken + told.refused <= len(rows.splitlines()) + 1
    central.store.close()


@given(st.binary(max_size=120))
def test_a_sender_takes_no_strangers_receipt(raw: bytes) -> None:
    find = KnownKey("central", CENTRAL_KEY.public_key())
    answers = Answers(TENANT, "gate-1", lambda kid: find)
    answers.take(Channel.FEEDS, raw)
    assert answers.came.empty()


_CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=9)


@given(st.lists(st.lists(_CELLS, min_size=1, max_size=3), min_size=2, max_size=30))
def test_parts_hold_each_record_once_at_the_line_where_it_stood(records: list[list[str]]) -> None:
    text = "".join(",".join('"' + c.replace('"', '""') + '"' for c in r) + "\n" for r in records)
    lines = text.splitlines(keepends=True)
    header = next((n for n, r in enumerate(records) if any(c.strip() for c in r)), None)
    parts = list(parts_of(text, 60))
    if header is None:
        assert parts == []
        return
    found: list[list[str]] = []
    for part in parts:
        own = part.rows.splitlines(keepends=True)
        assert own[: header + 1] == lines[: header + 1]
        for number, line in enumerate(own[header + 1 :], header + 1):
            assert line == lines[number + part.lines_before]
            found += csv.reader([line])
    assert found == records[header + 1 :]


def test_a_central_reads_who_feeds_which_unit(tmp_path: Path) -> None:
    file = tmp_path / "central.toml"
    text = 'tenant = "demo"\nfolder = "c"\n[[feeds]]\ndevice = "gate-1"\nunit = "{}"\n'
    file.write_text(text.format("mobile"))
    assert load_settings(file).feed_senders == {"gate-1": "mobile"}
    file.write_text(text.format("Mobile!"))
    with pytest.raises(ConfigError, match="unit"):
        load_settings(file)
    file.write_text(text.format("mobile") + '[[feeds]]\ndevice = "gate-1"\nunit = "other"\n')
    with pytest.raises(ConfigError, match="already"):
        load_settings(file)
