"""Passkeys at the central: made by an officer, decided on by an administrator, in the bundle."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Role
from central.config import load_settings
from central.hub import Hub
from central.orders.kinds import OrderRefusedError, OrderState
from central.orders.office import open_office
from central.orders.officers import OfficerError, OfficersDesk, kid_of
from central.orders.passkeys import MAX_WAITING, PasskeyError, read_attestation, read_cose_key
from central.orders.settings import OrderSettings, PasskeyPlace
from central.orders.signing import ASSERTION_SCHEMA, SigningError, read_signatures
from central.web import create_app
from contract.keys import KeySigner, key_id
from contract.settings import ConfigError
from contract.webauthn import WebAuthnError
from tests.authenticator import CREDENTIAL, ORIGIN, PRESENT, RP_ID, VERIFIED, Authenticator
from tests.central.office import AREA, CARD_KEY, OfficeTown, officer
from tests.central.signing import client_as
from tests.orders import CENTRAL_KEY, TENANT

CHEN = Authenticator("wang", ec.derive_private_key(7, ec.SECP256R1()))
LIU = Authenticator("li.wei", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32), b"another")
PLACE = PasskeyPlace(rp_id=RP_ID, origins=(ORIGIN,))


class PasskeyTown(OfficeTown):
    """A town whose central offers passkeys."""

    def open(self) -> Any:
        self.settings = dataclasses.replace(self.settings, orders=OrderSettings(passkeys=PLACE))
        return open_office(
            self.central.store,
            self.settings,
            clock=self.central.clock,
            signer=KeySigner(CENTRAL_KEY),
            publish=self.dispatcher.publish,
            account_key=lambda: CARD_KEY,
            bank=self.bank,
        )


@pytest.fixture
def town(tmp_path: Path) -> Any:
    town = PasskeyTown(tmp_path, 1)
    yield town
    town.central.store.close()


@pytest.fixture
def app(town: OfficeTown) -> FastAPI:
    return create_app(
        town.central.store, Hub(), town.settings, clock=town.central.clock, order_office=town.office
    )


def person(app: FastAPI, name: str, role: Role = Role.REVIEWER) -> httpx.Client:
    return client_as(app, name, [role], [AREA if role is Role.REVIEWER else "000000"])


def made(client: httpx.Client, who: Authenticator) -> dict[str, str]:
    """What the page's script sends after the browser has made a credential."""
    page = client.get("/account").text
    options = json.loads(
        re.search(r"data-options>(.*?)</textarea>", page, re.DOTALL)[1].replace("&#34;", '"')  # type: ignore[index]
    )
    challenge = bytes.fromhex(options["challenge"])
    return {
        "attestation": who.attestation().hex(),
        "client_data": who.client_data("webauthn.create", challenge).hex(),
    }


def signed(client: httpx.Client, address: str, who: Authenticator) -> str:
    """What the page's script sends after a press."""
    page = client.get(address).text
    job = json.loads(
        re.search(r"data-passkey-sign.*?data-options>(.*?)</textarea>", page, re.DOTALL)[1].replace(  # type: ignore[index]
            "&#34;", '"'
        )
    )
    client_data = who.client_data("webauthn.get", bytes.fromhex(job["challenge"]))
    return json.dumps(
        {
            "schema": ASSERTION_SCHEMA,
            "protected": job["protected"],
            "authenticator_data": who.data().hex(),
            "client_data": client_data.hex(),
            "signature": who.press(who.data(), client_data).hex(),
            "orders": job["orders"],
        }
    )


def test_an_officer_makes_a_passkey_an_administrator_lets_it_sign_and_takes_it_off(
    app: FastAPI, town: OfficeTown
) -> None:
    kid = key_id(CHEN.key.public_key()).hex()
    with person(app, "wang") as wang, person(app, "root", Role.ADMINISTRATOR) as root:
        form = made(wang, CHEN)
        assert wang.post("/account/passkey", data=form).status_code == 303
        assert wang.post("/account/passkey", data=form).status_code == 422  # it waits already
        assert f'data-passkey="{kid}"' in wang.get("/account").text
        draft = town.draft().application.order_id
        address = f"/orders/{draft.hex()}"
        assert "data-passkey-sign" not in wang.get(address).text  # nobody has decided yet
        assert wang.post("/officers/passkey", data={"kid": kid}).status_code == 403
        assert 'data-waiting="wang"' in root.get("/officers").text
        assert root.post("/officers/passkey", data={"kid": kid}).status_code == 303
        assert root.post("/officers/passkey", data={"kid": kid}).status_code == 422
        assert 'data-waiting="wang"' not in root.get("/officers").text
        town.carry()

        draft = town.draft(number="6217000000000000020").application.order_id
        address = f"/orders/{draft.hex()}"
        for altered in (
            dataclasses.replace(CHEN, flags=PRESENT),
            dataclasses.replace(CHEN, client={"origin": "https://evil.example"}),
        ):
            raw = signed(wang, address, altered)
            assert wang.post(f"{address}/sign", data={"signatures": raw}).status_code == 422
        raw = signed(wang, address, CHEN)
        assert wang.post(f"{address}/sign", data={"signatures": raw}).status_code == 303
        town.sign(draft, "li.wei")  # with a key file
        assert town.office.desk.book.get(draft).state is OrderState.FED_BACK
        (answer,) = town.central.store.answers(draft)
        assert answer.outcome == "applied"  # by the device's own code

        late = town.draft(number="6217000000000000038").application.order_id
        raw = signed(wang, f"/orders/{late.hex()}", CHEN)
        assert root.post("/officers/remove", data={"kid": kid}).status_code == 303
        answer_ = wang.post(f"/orders/{late.hex()}/sign", data={"signatures": raw})
        assert answer_.status_code == 422
        assert town.office.desk.book.get(late).signers == ()
    actions = [r.action for r in town.central.store.audit_rows(50, action="passkey")]
    assert actions == ["passkey.accept", "passkey.make"]


def test_a_passkey_is_refused_by_the_administrator_and_few_may_wait(
    app: FastAPI, town: OfficeTown
) -> None:
    keys = [ec.derive_private_key(n, ec.SECP256R1()) for n in range(20, 21 + MAX_WAITING)]
    with person(app, "wang") as wang, person(app, "root", Role.ADMINISTRATOR) as root:
        for number, key in enumerate(keys):
            who = Authenticator("wang", key, bytes([number, 1]))
            expected = 303 if number < MAX_WAITING else 422
            assert wang.post("/account/passkey", data=made(wang, who)).status_code == expected
        kid = key_id(keys[0].public_key()).hex()
        assert root.post("/officers/passkey/refuse", data={"kid": kid}).status_code == 303
        assert root.post("/officers/passkey/refuse", data={"kid": kid}).status_code == 422
    assert len(town.office.officers.passkeys.waiting("wang")) == MAX_WAITING - 1
    assert town.office.officers.newest().version == 2  # type: ignore[union-attr]


def test_a_passkey_of_another_session_page_or_person_is_not_taken(
    app: FastAPI, town: OfficeTown
) -> None:
    with person(app, "wang") as wang, person(app, "li.wei") as li:
        theirs = made(li, CHEN)
        elsewhere = made(wang, dataclasses.replace(CHEN, client={"origin": "https://evil.example"}))
        unverified = made(wang, dataclasses.replace(CHEN, flags=PRESENT))
        cut = {**made(wang, CHEN), "attestation": "a1"}
        for form in (theirs, elsewhere, unverified, cut):
            assert wang.post("/account/passkey", data=form).status_code == 422
        for broken in ("", "xyz", "0"):
            form = {**made(wang, CHEN), "client_data": broken}
            assert wang.post("/account/passkey", data=form).status_code == 422
    with person(app, "duty", Role.DUTY_OFFICER) as duty:  # signs nothing, so has none
        assert "data-passkey-new" not in duty.get("/account").text
        assert duty.post("/account/passkey", data=theirs).status_code == 403
    assert town.office.officers.passkeys.waiting() == []
    with pytest.raises(PasskeyError, match="not offered"):
        town.office.officers.passkeys.offer(officer("wang"), "", b"", b"")


def test_orders_on_all_cards_take_one_press_if_they_were_drafted_after_the_passkey(
    app: FastAPI, town: OfficeTown
) -> None:
    numbers = ("6217000000000000012", "6217000000000000020")
    early = town.draft(number="6217000000000000038").application.order_id
    town.central.clock.advance(1)
    town.office.officers.add(
        "admin", "wang", CHEN.entry.public_pem, credential_id=CHEN.credential_id
    )
    town.carry()
    drafts = [town.draft(number=number).application.order_id for number in numbers]
    part = CHEN.sign(*(town.office.desk.content(name) for name in (*drafts, early)))
    for name in drafts:
        town.office.desk.sign(officer("wang"), name, part)
        town.sign(name, "li.wei")
        (answer,) = town.central.store.answers(name)
        assert answer.outcome == "applied"
    with pytest.raises(OrderRefusedError, match="no key"):
        town.office.desk.sign(officer("wang"), early, part)


def test_the_bundle_says_where_its_passkeys_are_used_and_follows_the_settings(
    town: OfficeTown,
) -> None:
    desk = town.office.officers
    assert desk.newest().place is None  # type: ignore[union-attr]
    assert desk.renew_due() == 0
    desk.add("admin", "wang", CHEN.entry.public_pem, credential_id=CHEN.credential_id)
    assert desk.newest().place == PLACE  # type: ignore[union-attr]
    assert desk.renew_due() == 0

    def another(place: PasskeyPlace | None) -> OfficersDesk:
        store, clock = town.central.store, town.central.clock
        return OfficersDesk(store, clock, KeySigner(CENTRAL_KEY), TENANT, place=place)

    assert another(None).renew_due() == 0  # a terminal that does not know says the same as before
    moved = PasskeyPlace(rp_id=RP_ID, origins=(ORIGIN, ORIGIN + ":8443"))
    assert another(moved).renew_due() == 1
    assert another(moved).newest().place == moved  # type: ignore[union-attr]
    assert another(moved).renew_due() == 0
    another(moved).remove("admin", kid_of(CHEN.entry))
    assert another(moved).newest().place is None  # type: ignore[union-attr]
    with pytest.raises(OfficerError, match="domain"):  # nobody says where
        another(None).add("admin", "wang", CHEN.entry.public_pem, credential_id=b"x")
    with pytest.raises(OfficerError, match="no such passkey"):
        desk.accept("admin", b"\x01" * 32)


@pytest.mark.parametrize("who", [CHEN, LIU])
def test_a_new_credential_is_read(who: Authenticator) -> None:
    credential_id, public = read_attestation(who.attestation(), RP_ID)
    assert credential_id == who.credential_id
    assert key_id(public) == key_id(who.key.public_key())


def altered(**changes: Any) -> bytes:
    return CHEN.attestation(**changes)


def with_key(table: Any) -> bytes:
    return CHEN.attestation(CHEN.new_data(table))


EC = CHEN.cose_key()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xa0",
        b"\x80",
        bytes(5000),
        altered(fmt="packed"),
        altered(attStmt={"sig": b""}),
        altered(more=1),
        altered(authData="text"),
        altered(authData=CHEN.data(flags=CREDENTIAL)),
        altered(authData=CHEN.data()),
        altered(authData=CHEN.new_data() + b"\x00"),
        altered(authData=CHEN.new_data()[:-1]),
        altered(authData=dataclasses.replace(CHEN, rp_id="evil.example").new_data()),
        altered(authData=dataclasses.replace(CHEN, flags=PRESENT).new_data()),
        altered(authData=dataclasses.replace(CHEN, flags=VERIFIED).new_data()),
        altered(authData=dataclasses.replace(CHEN, flags=PRESENT | VERIFIED | 0x80).new_data()),
        altered(authData=dataclasses.replace(CHEN, credential_id=b"").new_data()),
        altered(authData=dataclasses.replace(CHEN, credential_id=bytes(513)).new_data()),
        # One key of a map twice, and the same map in another order.
        b"\xa3\x63fmt\x64none\x63fmt\x64none" + CHEN.attestation()[10:],
        cbor2.dumps(dict(reversed(cbor2.loads(CHEN.attestation()).items()))),
        with_key({**EC, 3: -257}),
        with_key({**EC, -1: 2}),
        with_key({**EC, -1: True}),
        with_key({**EC, -3: bytes(32)}),
        with_key({**EC, -3: bytes(31)}),
        with_key({**EC, -3: True}),
        with_key({**EC, 4: [2]}),
        with_key({1: 1, 3: -8, -1: 6, -2: bytes(31)}),
        with_key({}),
    ],
)
def test_what_is_no_new_credential_of_this_domain_is_refused(raw: bytes) -> None:
    with pytest.raises(WebAuthnError):
        read_attestation(raw, RP_ID)


def test_a_key_that_is_no_map_is_refused() -> None:
    values: list[Any] = [[], 1, None, "x", b""]
    for value in values:
        with pytest.raises(WebAuthnError):
            read_cose_key(value)


_GOOD = CHEN.attestation()


@given(st.integers(0, len(_GOOD)), st.integers(0, 40), st.binary(max_size=60))
def test_altered_credentials_are_read_or_refused_and_raise_nothing_else(
    start: int, length: int, other: bytes
) -> None:
    try:
        credential_id, _ = read_attestation(_GOOD[:start] + other + _GOOD[start + length :], RP_ID)
    except WebAuthnError:
        return
    assert credential_id


@given(st.binary(max_size=200))
def test_arbitrary_credentials_are_refused(raw: bytes) -> None:
    with pytest.raises(WebAuthnError):
        read_attestation(raw, RP_ID)


_VALUE = st.one_of(st.none(), st.integers(), st.text(max_size=80), st.just("ab" * 32))
_FIELDS = ("protected", "authenticator_data", "client_data", "signature", "orders")
_ROW = st.dictionaries(st.sampled_from(["order_id", "digest"]), _VALUE)


@given(st.dictionaries(st.sampled_from(_FIELDS), st.one_of(_VALUE, st.lists(_ROW, max_size=3))))
def test_a_browsers_answer_is_read_or_refused(fields: dict[str, Any]) -> None:
    raw = json.dumps({"schema": ASSERTION_SCHEMA, **fields}).encode()
    try:
        found = read_signatures(raw)
    except SigningError:
        return
    assert all(len(name) == 16 for name in found)


def test_where_passkeys_are_used_is_a_setting(tmp_path: Path) -> None:
    def place(text: str) -> PasskeyPlace | None:
        file = tmp_path / "central.toml"
        file.write_text(f'tenant = "demo"\nfolder = "state"\n[orders]\n{text}\n')
        return load_settings(file).orders.passkeys

    assert place("") is None
    assert place(f'passkey_origins = ["{ORIGIN}"]') == PLACE
    assert place(f'passkey_origins = ["{ORIGIN}:8443"]\npasskey_domain = "central.example"') == (
        PasskeyPlace(rp_id=RP_ID, origins=(f"{ORIGIN}:8443",))
    )
    for wrong in (
        'passkey_domain = "central.example"',
        'passkey_origins = ["http://central.example"]',
        'passkey_origins = ["central.example"]',
        'passkey_origins = ["https://[::1]:8443"]',
        f'passkey_origins = ["{ORIGIN}"]\npasskey_domain = "other.example"',
    ):
        with pytest.raises(ConfigError, match="passkey_"):
            place(wrong)
