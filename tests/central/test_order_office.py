"""Orders through the running parts: store, officers' bundle, bank, the machines' own desks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from central.config import load_settings
from central.orders.bank import BankFileError, load_accounts
from central.orders.kinds import Hold, OrderKind, OrderRefusedError, OrderState
from central.orders.office import account_key_file, open_office
from central.orders.officers import OfficerError, kid_of
from central.orders.platform import NoBank
from contract.clock import UnixMicros
from contract.keyfiles import KeyFileError
from contract.keys import KeySigner, public_pem
from contract.settings import ConfigError
from contract.words import DecisionReason, OrderOutcome
from tests.central.kit import START, settings
from tests.central.office import KEYS, NUMBER, OWNER, SECOND, OfficeTown, officer
from tests.orders import CENTRAL_KEY, HOUR_US

HOUR = HOUR_US


@pytest.fixture
def town(tmp_path: Path) -> OfficeTown:
    return OfficeTown(tmp_path)


def holds(town: OfficeTown, number: str = NUMBER) -> set[DecisionReason | None]:
    return {desk.hold_on(town.office.ref(number)) for desk in town.desks.values()}


def test_two_signatures_stop_the_account_at_every_machine_until_48_hours_are_over(
    town: OfficeTown,
) -> None:
    stop = town.order()
    assert stop.state is OrderState.FED_BACK
    answers = town.central.store.answers(stop.application.order_id)
    assert [a.outcome for a in answers] == [OrderOutcome.APPLIED] * 2
    assert holds(town) == {DecisionReason.STOP_PAYMENT}
    assert holds(town, SECOND) == {None}
    town.office.tick()
    town.central.clock.advance(42 * HOUR + 1_000_000)
    town.office.tick()  # six hours before the end somebody is told, once
    town.office.tick()
    rows = town.central.store.audit_rows(50, action="order.warning")
    assert [row.subject for row in rows] == [stop.application.order_id.hex()]
    town.central.clock.advance(6 * HOUR)
    town.office.tick()
    assert town.office.desk.book.get(stop.application.order_id).state is OrderState.EXPIRED
    assert town.office.desk.live() == []
    for desk in town.desks.values():
        desk.step()
    assert holds(town) == {None}
    answers = town.central.store.answers(stop.application.order_id)
    assert [a.outcome for a in answers] == [OrderOutcome.ENDED] * 2
    actions = [row.action for row in town.central.store.audit_rows(50, action="order.expire")]
    assert actions == ["order.expire"]


def test_a_release_reaches_the_machines_like_the_stop(town: OfficeTown) -> None:
    town.order()
    released = town.order(OrderKind.RELEASE_STOP, ground="wrong_account")
    assert released.state is OrderState.FED_BACK
    assert holds(town) == {None}
    assert town.bank.usable_fen(NUMBER) == 5_000_000


def test_a_removed_officers_signature_counts_nowhere(town: OfficeTown) -> None:
    draft = town.draft()
    name = draft.application.order_id
    town.office.desk.sign(officer("li.wei"), name, town.signature(name, "li.wei"))
    bundle = town.office.officers.newest()
    assert bundle is not None
    gone = next(entry for entry in bundle.officers if entry.officer == "wang")
    removed = town.office.officers.remove("admin", kid_of(gone))
    town.carry()
    assert (removed.version, [o.officer for o in removed.officers]) == (3, ["li.wei"])
    with pytest.raises(OrderRefusedError, match="UNKNOWN_SIGNER"):
        town.office.desk.sign(officer("wang"), name, town.signature(name, "wang"))
    answers = town.central.store.answers(removed.order_id)
    assert {a.outcome for a in answers} == {OrderOutcome.APPLIED}
    refused = town.central.store.audit_rows(1)[0]
    assert (refused.action, refused.actor, refused.outcome) == ("order.refused", "wang", "refused")


@pytest.mark.parametrize(
    ("name", "pem", "days", "why"),
    [
        ("nobody", "", 1, "there is nobody"),
        ("zhao", "no key", 1, "no public key"),
        ("zhao", public_pem(KEYS["wang"].public_key()), 1, "in the bundle already"),
        ("zhao", public_pem(KEYS["zhao"].public_key()), 0, "1 to 1098 days"),
    ],
)
def test_an_officer_who_cannot_be_one_changes_nothing(
    town: OfficeTown, name: str, pem: str, days: int, why: str
) -> None:
    before = town.office.officers.newest()
    with pytest.raises(OfficerError, match=why):
        town.office.officers.add("admin", name, pem, days)
    assert town.office.officers.newest() == before
    with pytest.raises(OfficerError, match="no such key"):
        town.office.officers.remove("admin", b"x" * 32)


def test_who_was_away_for_two_bundles_gets_the_newest_alone(town: OfficeTown) -> None:
    town.away = {"atm-2"}
    third = town.office.officers.add("admin", "zhao", public_pem(KEYS["zhao"].public_key()))
    town.carry()
    fourth = town.office.officers.remove("admin", kid_of(third.officers[-1]))
    town.carry()
    town.add(town.folder, 3)  # enrolled after all of them
    town.away = set()
    town.born("atm-2")
    town.carry()
    assert town.dispatcher.pending(third.order_id) == []
    done = {a.device: a.outcome for a in town.central.store.answers(fourth.order_id)}
    assert done == dict.fromkeys(("atm-1", "atm-2", "atm-3"), OrderOutcome.APPLIED)
    assert town.alerts() == []  # nobody refused an old version


def test_a_bundle_is_sent_anew_before_its_delivery_ends(town: OfficeTown) -> None:
    assert town.office.officers.renew_due() == 0
    town.central.clock.advance(340 * 24 * HOUR)
    assert town.office.officers.renew_due() == 1
    newest, former = town.office.officers.history(2)
    assert newest.officers == former.officers
    assert newest.version == former.version + 1


def test_a_central_that_starts_again_goes_on(town: OfficeTown) -> None:
    stop = town.order()
    again = town.open()
    assert list(again.desk.book) == town.office.desk.records()
    town.central.clock.advance(49 * HOUR)
    again.tick()
    assert again.desk.book.get(stop.application.order_id).state is OrderState.EXPIRED


def test_without_a_bank_an_order_waits_and_says_why_until_its_term_is_over(
    town: OfficeTown,
) -> None:
    town.bank = NoBank()  # type: ignore[assignment]
    town.office = town.open()
    waiting = town.order()
    name = waiting.application.order_id
    assert waiting.state is OrderState.SENT
    assert "no bank is connected" in town.office.desk.waiting[name]
    assert holds(town) == {None}
    town.central.clock.advance(48 * HOUR)
    town.office.tick()
    assert town.office.desk.book.get(name).state is OrderState.REFUSED


def test_watch_and_suspension_are_there_for_the_list_and_only_while_they_live(
    town: OfficeTown,
) -> None:
    until = UnixMicros(town.central.clock.wall() + 5 * HOUR)
    town.order(OrderKind.WATCH, until=until)
    suspended = town.order(OrderKind.SUSPEND, number=SECOND, until=until)
    assert {(f.hold, f.account) for f in town.office.flags()} == {
        (Hold.WATCH, town.office.ref(NUMBER)),
        (Hold.SUSPENSION, town.office.ref(SECOND)),
    }
    resumed = town.order(OrderKind.RESUME, number=SECOND, ground="appeal_granted")
    assert resumed.application.targets == (suspended.application.order_id,)
    assert [f.hold for f in town.office.flags()] == [Hold.WATCH]
    town.central.clock.advance(5 * HOUR)
    assert town.office.flags() == []


def test_a_central_with_a_simulated_bank_in_its_configuration(tmp_path: Path) -> None:
    bank = tmp_path / "bank.json"
    row: dict[str, object] = {"number": NUMBER, "name": "张三", "balance_fen": 5, "owner": OWNER}
    row["incoming"] = [{"amount_fen": 5, "at": "2026-01-02T10:00:00+08:00"}]
    bank.write_text(json.dumps({"schema": "qianshao-simulated-bank/1", "accounts": [row]}))
    bank.chmod(0o600)
    found = load_accounts(bank)[NUMBER]
    assert found.incoming[0].at == START - HOUR
    config = tmp_path / "central.toml"
    config.write_text(
        'tenant = "demo"\nfolder = "c"\n[orders]\nbank = "simulated"\naccounts = "bank.json"\n'
    )
    assert load_settings(config).orders.accounts == bank
    bank.chmod(0o644)
    with pytest.raises(BankFileError, match="chmod 600"):
        load_accounts(bank)
    config.write_text('tenant = "demo"\nfolder = "c"\n[orders]\nbank = "simulated"\n')
    with pytest.raises(ConfigError, match="needs its accounts"):
        load_settings(config)


@pytest.mark.parametrize(
    "wrong",
    ["[]", "{", '{"schema": "other"}', '{"schema": "qianshao-simulated-bank/1"}'],
)
def test_a_wrong_file_of_accounts_names_its_place(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "bank.json"
    path.write_text(wrong)
    path.chmod(0o600)
    with pytest.raises(BankFileError, match=r"bank\.json"):
        load_accounts(path)
    bad = {"schema": "qianshao-simulated-bank/1", "accounts": [{"number": NUMBER}]}
    path.write_text(json.dumps(bad))
    with pytest.raises(BankFileError, match="account 1") as error:
        load_accounts(path)
    assert NUMBER not in str(error.value)


def test_the_key_for_accounts_is_made_once_and_never_lax(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    key = account_key_file(chosen)()
    assert account_key_file(chosen)() == key
    (tmp_path / "card.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        account_key_file(chosen)


def test_an_office_opens_over_its_own_settings(town: OfficeTown, tmp_path: Path) -> None:
    office = open_office(
        town.central.store,
        town.settings,
        clock=town.central.clock,
        signer=KeySigner(CENTRAL_KEY),
        publish=town.dispatcher.publish,
    )
    assert office.ref(NUMBER) != town.office.ref(NUMBER)  # another key
    assert office.times_left(town.office.ref(NUMBER).hmac) == 2
