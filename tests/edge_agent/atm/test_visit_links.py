"""Visits linked over machines: real orders, parcels over mutual TLS, a real central; and nothing
without an order of two officers in force."""

from __future__ import annotations

import dataclasses
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from atm_face.engines.sface import SFaceEngine
from central.link_desk import LinkRefusedError
from central.store.link_tables import link_parcels
from contract.clock import UnixMicros, VirtualClock
from contract.codec import encode, to_map
from contract.cosign import read_body
from contract.keys import KeySigner
from contract.messages import LinkedVisit, VisitLinkReport
from contract.orders import ComparingMachine, CrossAtmLink
from contract.topics import Lane
from contract.words import OrderType
from edge_agent.atm.link_book import LinkBook
from edge_agent.atm.visit_links import LinkPortError, read_names
from edge_agent.outbox import Outbox
from mqtt_bridge.tls import tls_context
from tests.central.kit import Crash
from tests.central.office import AREA, KEYS, NUMBER
from tests.edge_agent.atm.link_town import LinkTown
from tests.edge_agent.atm.test_no_face_leaves import traces
from tests.orders import CENTRAL_KEY, HOUR_US, NOW, TENANT, signed


@pytest.fixture(scope="module")
def engine() -> SFaceEngine:
    return SFaceEngine()


@pytest.fixture
def town(tmp_path: Path, engine: SFaceEngine) -> Iterator[LinkTown]:
    town = LinkTown(tmp_path, engine)
    with town.open_port():
        yield town
    town.central.store.close()


def visits_of_a_mule(town: LinkTown) -> None:
    """The case's card at one machine; the same face with another card at the second one."""
    town["atm-1"].visit("mule", town.mule())
    town["atm-1"].visit("customer")
    town["atm-2"].visit("somebody")
    town["atm-2"].visit("mule")
    town["atm-3"].visit("somebody else")


def links(town: LinkTown, order_id: bytes) -> list[tuple[str, str, int]]:
    return [(one.machine, one.sender, one.visit) for one in town.found(order_id)]


def test_one_face_at_two_machines_is_linked_under_an_order_of_two(town: LinkTown) -> None:
    visits_of_a_mule(town)
    order_id = town.link()
    assert town.round() == []
    assert links(town, order_id) == [("atm-2", "atm-1", 2)]
    (found,) = town.found(order_id)
    assert found.similarity == pytest.approx(1.0)
    said = [(c.machine, c.is_opened, c.faces, c.compared) for c in town.comparisons(order_id)]
    assert said == [("atm-2", True, 1, 2), ("atm-3", True, 1, 1)]
    assert town.parcels() == []  # compared: erased
    assert town["atm-1"].reports == []
    # A visit that comes while the order lives goes too, and what went before does not go again.
    town["atm-3"].visit("somebody", town.mule())
    assert town.round() == []
    assert set(links(town, order_id)) == {("atm-2", "atm-1", 2), ("atm-2", "atm-3", 1)}
    assert len(town.comparisons(order_id)) == 4
    assert town.round() == []
    assert len(town.comparisons(order_id)) == 4


def test_a_day_file_that_is_made_anew_is_served_from_its_beginning(town: LinkTown) -> None:
    """A disk was changed: numbers begin at 1 again, below what was sent before."""
    for who in ("one", "two", "three"):
        town["atm-1"].visit(who, town.mule())
    order_id = town.link("atm-2")
    town.round()
    town["atm-2"].visit("mule")
    town["atm-1"].day.close()
    (town["atm-1"].folder / "visits.sqlite3").unlink()
    town["atm-1"].__post_init__()
    town["atm-1"].visit("mule", town.mule())
    town.round()
    assert links(town, order_id) == [("atm-2", "atm-1", 1)]


def test_a_visit_like_two_parcels_of_one_machine_is_one_link(town: LinkTown) -> None:
    visits_of_a_mule(town)
    order_id = town.link("atm-2")
    town.round()
    town["atm-1"].visit("mule", town.mule())
    town.round()
    assert len(town.comparisons(order_id)) == 2
    assert links(town, order_id) == [("atm-2", "atm-1", 2)]


def test_of_two_likenesses_of_one_visit_the_greater_stays(town: LinkTown) -> None:
    order_id = town.link("atm-2")
    for parcel, similarity in ((b"p", 0.5), (b"q", 0.75), (b"r", 0.625)):
        visit = LinkedVisit(visit=2, captured_at=UnixMicros(NOW), similarity=similarity)
        town["atm-2"].report(
            VisitLinkReport(
                parcel=parcel * 32, order_id=order_id, sender="atm-1", is_opened=True, linked=1,
                visits=(visit,), at=UnixMicros(NOW),
            )
        )  # fmt: skip
    assert [one.similarity for one in town.found(order_id)] == [0.75]
    assert len(town.comparisons(order_id)) == 3


def test_what_was_compared_is_not_taken_again(town: LinkTown) -> None:
    """A sender that died before it noted that the central has a parcel sends the same bytes."""
    visits_of_a_mule(town)
    order_id = town.link("atm-2")
    assert town["atm-1"].step() == []
    (parcel,) = town.parcels()
    assert town["atm-2"].step() == []
    context = tls_context(town["atm-1"].papers)
    path = f"/links/{order_id.hex()}/atm-2"
    assert town.ask("PUT", path, context, bytes(parcel.parcel))[0] == 204
    assert town.parcels() == []


@pytest.mark.parametrize("what", ["none", "draft", "once signed", "ended", "expired", "too old"])
def test_without_an_order_in_force_nothing_leaves(town: LinkTown, what: str) -> None:
    visits_of_a_mule(town)
    if what in {"draft", "once signed"}:
        order_id = town.drafted("atm-2")
        if what == "once signed":
            town.sign(order_id, "wang")
    elif what != "none":
        town.link("atm-2", hours=2)
        if what == "ended":
            town.end()
        town.central.clock.advance(0 if what == "ended" else 2 * HOUR_US)
        if what == "too old":  # a clock that is set back revives nothing
            for desk in town.desks.values():
                desk.step()
            town.central.clock._wall = NOW
    assert town.round() == []
    assert town.parcels() == []
    for machine in town.machines.values():
        book = LinkBook(machine.folder / "links.sqlite3")
        assert book.outgoing() == []
        book.close()
        assert machine.reports == []


def test_an_order_that_ends_within_a_round_lets_nothing_more_leave(town: LinkTown) -> None:
    visits_of_a_mule(town)
    order_id = town.link("atm-2")

    def end(step: str) -> None:
        if step == "sealed":
            town.end()

    machine = town["atm-1"]
    assert machine.start(end).step() == []  # it did not even try: the central would refuse it
    machine.book.close()
    assert town.parcels() == []
    order_id = town.link("atm-2")
    assert machine.step() == []

    def end_late(step: str) -> None:
        if step == "fetched":
            town.end()

    assert town["atm-2"].start(end_late).step() != []  # fetched, and not compared any more
    town["atm-2"].book.close()
    assert town["atm-2"].reports == []
    assert town.comparisons(order_id) == []


@pytest.mark.parametrize("how", ["ended", "expired"])
def test_what_waits_is_erased_unread_when_the_order_is_over(town: LinkTown, how: str) -> None:
    visits_of_a_mule(town)
    order_id = town.link("atm-2")
    assert town["atm-1"].step() == []
    (parcel,) = town.parcels()
    if how == "ended":
        town.end()
    else:
        town.central.clock.advance(12 * HOUR_US)
    context = tls_context(town["atm-2"].papers)
    status, raw = town.ask("GET", "/links", context)
    assert (status, json.loads(raw)) == (200, {"parcels": []})
    assert town.ask("GET", f"/links/{parcel.digest.hex()}", context)[0] == 403
    path = f"/links/{order_id.hex()}/atm-2"
    sender = tls_context(town["atm-1"].papers)
    assert town.ask("PUT", path, sender, b"one more")[0] == 403
    assert town.links.forget_over() == 1
    assert town.links.forget_over() == 0
    assert town.parcels() == []
    town.round()
    assert town.comparisons(order_id) == []
    for machine in town.machines.values():
        with_rows = [
            table
            for table in ("sent", "outgoing", "compared")
            if rows_of(machine.folder / "links.sqlite3", table)
        ]
        assert with_rows == []


def rows_of(path: Path, table: str) -> int:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return int(found)


def test_the_central_carries_only_what_the_order_lets_pass(town: LinkTown) -> None:
    visits_of_a_mule(town)
    order_id = town.link("atm-2").hex()
    first, second = (tls_context(town[name].papers) for name in ("atm-1", "atm-2"))
    refused = [
        ("PUT", f"/links/{order_id}/atm-3", first, 403),  # it does not compare
        ("PUT", f"/links/{order_id}/atm-2", second, 403),  # to itself
        ("PUT", f"/links/{'00' * 16}/atm-2", first, 403),
        ("PUT", f"/links/{order_id}ff/atm-2", first, 404),
        ("PUT", "/links/no/atm-2", first, 404),
        ("GET", f"/links/{'00' * 32}", second, 404),
        ("GET", "/links/no", second, 404),
    ]
    for method, path, context, status in refused:
        assert town.ask(method, path, context, b"parcel")[0] == status, path
    assert town.ask("PUT", f"/links/{order_id}/atm-2", first, b"")[0] == 422
    too_long = bytes(2 * 1024 * 1024 + 1)
    assert town.ask("PUT", f"/links/{order_id}/atm-2", first, too_long)[0] == 413
    assert town.parcels() == []
    # A parcel is given to nobody but its machine, and only that one says that it was compared.
    assert town.ask("PUT", f"/links/{order_id}/atm-2", first, b"parcel")[0] == 204
    (parcel,) = town.parcels()
    third, path = tls_context(town["atm-3"].papers), f"/links/{parcel.digest.hex()}"
    assert town.ask("GET", path, third)[0] == 404
    assert town.ask("DELETE", path, third)[0] == 204
    assert town.ask("GET", path, second) == (200, b"parcel")
    assert town.ask("DELETE", path, second)[0] == 204
    assert town.parcels() == []


def test_no_machine_fills_the_central(town: LinkTown) -> None:
    order_id = town.link("atm-2", "atm-3")
    for number in range(100):
        town.links.put("atm-1", order_id, "atm-2", b"%d" % number)
    context = tls_context(town["atm-1"].papers)
    assert town.ask("PUT", f"/links/{order_id.hex()}/atm-2", context, b"more")[0] == 429
    assert town.ask("PUT", f"/links/{order_id.hex()}/atm-2", context, b"7")[0] == 204  # known
    assert town.ask("PUT", f"/links/{order_id.hex()}/atm-3", context, b"more")[0] == 204
    assert len(town.parcels()) == 101


@pytest.mark.parametrize("who", ["nobody", "revoked"])
def test_the_port_of_links_is_for_enrolled_machines_alone(town: LinkTown, who: str) -> None:
    order_id = town.link("atm-2").hex()
    papers = town["atm-1"].papers
    context = tls_context(papers)
    if who == "nobody":
        context = ssl.create_default_context(cafile=str(papers.ca))
    else:
        town.central.store.revoke("atm-1", 1)
    for method, path in (
        ("PUT", f"/links/{order_id}/atm-2"),
        ("GET", "/links"),
        ("GET", f"/links/{'00' * 32}"),
        ("DELETE", f"/links/{'00' * 32}"),
    ):
        assert town.ask(method, path, context, b"parcel")[0] == (401 if who == "nobody" else 403)


@pytest.mark.parametrize("what", ["altered", "other sender", "other recipient", "other key"])
def test_a_parcel_that_does_not_open_is_reported_once_and_dropped(
    town: LinkTown, what: str
) -> None:
    visits_of_a_mule(town)
    if what == "other key":  # whoever holds the central puts a key of its own into the order
        town.know_key("atm-2", town["atm-3"].public)
        town.know_key("atm-3", bytes(range(32)))
    order_id = town.link("atm-2", "atm-3")
    assert town["atm-1"].step() == []
    changed: dict[str, dict[str, Any]] = {
        "altered": {"parcel": b"\0" * 200},
        "other sender": {"sender": "atm-3"},
        "other recipient": {"recipient": "atm-3"},
    }
    changes = changed.get(what)
    with town.central.store.transaction() as tx:
        connection = tx._connection  # type: ignore[attr-defined]
        c = link_parcels.c
        connection.execute(link_parcels.delete().where(c.recipient == "atm-3"))
        if changes:
            connection.execute(link_parcels.update().values(**changes))
    assert town.round() == []
    opened = [(c.machine, c.is_opened, c.linked) for c in town.comparisons(order_id)]
    assert opened == [("atm-3" if what == "other recipient" else "atm-2", False, 0)]
    assert town.found(order_id) == []
    assert town.parcels() == []
    town.round()
    assert len(town.comparisons(order_id)) == 1


STEPS = ("sealed", "put", "fetched", "reported", "noted")


@pytest.mark.parametrize("at", STEPS)
def test_a_kill_between_any_two_steps_loses_nothing_and_links_nothing_twice(
    town: LinkTown, at: str
) -> None:
    visits_of_a_mule(town)
    order_id = town.link("atm-2")

    def die(step: str) -> None:
        if step == at:
            raise Crash

    died = 0
    for name in ("atm-1", "atm-2"):
        machine = town[name]
        try:
            machine.start(die).step()
        except Crash:
            died += 1
        machine.book.close()
    assert died == 1
    assert town.round() == []
    assert links(town, order_id) == [("atm-2", "atm-1", 2)]
    assert len(town.comparisons(order_id)) == 1
    assert len(town["atm-2"].reports) == (2 if at == "reported" else 1)
    assert town.parcels() == []
    # The sender's note that the central has it comes late, and changes nothing.
    town.round()
    assert len(town.comparisons(order_id)) == 1


def test_while_the_central_is_away_nothing_is_lost(town: LinkTown) -> None:
    visits_of_a_mule(town)
    order_id = town.link("atm-2")
    port, town.server._socket = town.server._socket, None  # port 0: nobody is there
    assert town["atm-1"].step()
    town.server._socket = port
    assert town.round() == []
    assert links(town, order_id) == [("atm-2", "atm-1", 2)]


def test_a_machine_that_the_order_does_not_name_asks_the_central_nothing(town: LinkTown) -> None:
    """Every machine has the order: thousands that asked each minute would fill the port."""
    town.link("atm-2")
    port, town.server._socket = town.server._socket, None
    assert town["atm-1"].step() == []
    assert town["atm-2"].step() != []
    town.server._socket = port


def test_a_report_is_one_message_however_often_it_is_handed_over(tmp_path: Path) -> None:
    outbox = Outbox.open(
        tmp_path / "outbox.sqlite3",
        tenant=TENANT,
        device="atm-1",
        signer=KeySigner(CENTRAL_KEY),
        clock=VirtualClock(),
        boot_id=b"b" * 16,
        central_keys=lambda kid: None,
    )
    one = VisitLinkReport(
        parcel=b"p" * 32, order_id=b"o" * 16, sender="atm-2", is_opened=True, at=NOW
    )
    again = dataclasses.replace(one, faces=1)
    other = dataclasses.replace(one, parcel=b"q" * 32)
    known = [outbox.put(body, Lane.DECISIONS).result().is_known for body in (one, again, other)]
    assert known == [False, True, False]
    outbox.close()


def test_a_report_that_no_order_asked_for_is_not_kept(town: LinkTown) -> None:
    order_id = town.link("atm-2")
    stop = town.order().application.order_id
    for machine, sender, order in (
        ("atm-3", "atm-1", order_id),  # it does not compare
        ("atm-2", "atm-2", order_id),
        ("atm-2", "atm-1", b"n" * 16),
        ("atm-2", "atm-1", stop),
    ):
        town[machine].report(
            VisitLinkReport(
                parcel=b"p" * 32, order_id=order, sender=sender, is_opened=True, at=UnixMicros(NOW)
            )
        )
    assert town.comparisons(order_id) == town.comparisons(stop) == []


def test_a_machine_that_the_order_is_not_for_sends_nothing(town: LinkTown) -> None:
    visits_of_a_mule(town)
    machines = (ComparingMachine(device="atm-2", key=town["atm-2"].public),)
    until = UnixMicros(NOW + HOUR_US)
    body = CrossAtmLink(
        case="C-1",
        until=until,
        accounts=(town.office.ref(NUMBER),),
        machines=machines,
    )
    by = [KEYS["li.wei"], KEYS["wang"]]
    raw = signed(
        OrderType.CROSS_ATM_LINK, 7777, body=body, by=by, targets=("atm-2", "atm-3"), expires=until
    )
    order_id = town.publish(raw)
    assert town.round() == []
    assert town.parcels() == town.comparisons(order_id) == []
    with pytest.raises(LinkRefusedError, match="for other machines"):
        town.links.put("atm-1", order_id, "atm-2", b"parcel")
    town.links.put("atm-3", order_id, "atm-2", b"parcel")


def test_no_picture_template_or_card_is_in_the_central_or_a_message(
    town: LinkTown, capfd: pytest.CaptureFixture[str]
) -> None:
    visits_of_a_mule(town)
    order_id = town.link()
    assert town["atm-1"].step() == []
    held = b"".join(bytes(row.parcel) for row in town.parcels())
    assert held  # what is searched holds the parcels, while they wait
    written = everything(town)
    town.round()
    assert links(town, order_id) == [("atm-2", "atm-1", 2)]
    written |= {f"{name} afterwards": raw for name, raw in everything(town).items()}
    written |= {f"message {n}": raw for n, raw in enumerate(town.sent)}
    printed = capfd.readouterr()
    written["stdout"], written["stderr"] = printed.out.encode(), printed.err.encode()
    assert any(held[-200:] in raw or held[:200] in raw for raw in written.values())
    found = [
        (place, what)
        for what, trace in traces([], town.templates)
        for place, raw in written.items()
        if trace in raw
    ]
    assert found == []
    cards = (town.mule(), b"x" * 32)
    for machine in town.machines.values():
        for report in machine.reports:
            assert not any(card in encode(to_map(report)) for card in cards)


def everything(town: LinkTown) -> dict[str, bytes]:
    """All that central and machines have written, but for keys."""
    return {
        str(path): path.read_bytes()
        for path in town.folder.rglob("*")
        if path.is_file() and path.suffix not in {".key", ".pem"}
    }


def test_the_officers_signatures_cover_the_machines_and_their_keys(town: LinkTown) -> None:
    order_id = town.link("atm-2", "atm-1")
    town.know_key("atm-1", bytes(range(32)))  # too late: the order has the key of its draft
    raw = town.desks["atm-1"].link_orders()[order_id]
    body = read_body(raw)
    assert isinstance(body, CrossAtmLink)
    assert [(m.device, m.key) for m in body.machines or ()] == [
        (name, town[name].public) for name in ("atm-1", "atm-2")
    ]
    assert town.office.desk.book.get(order_id).application.area == AREA
    again = town.open().desk.book.get(order_id)  # from the store
    assert again.application == town.office.desk.book.get(order_id).application


@given(raw=st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["parcels", "digest", "order", "from", "x"]), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_the_port_says_is_names_or_an_error(raw: bytes) -> None:
    try:
        names = read_names(raw)
    except LinkPortError:
        return
    assert all(len(one.digest) == 32 and len(one.order_id) == 16 for one in names)
