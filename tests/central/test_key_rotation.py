"""Going over to another key for accounts: step by step, sealed, nobody left behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.lists import LiveHold, TenantKey
from central.lists.keys import TenantKeys
from central.lists.rotation import KeyDesk
from central.orders.sealed import Vault
from contract.account_list import ListedFor
from contract.accounts import card_ref
from contract.cosign import SignedOrder, open_order
from contract.keys import KeySigner
from contract.orders import SealedKeys
from contract.tenant_keys import KeyBundle, KeyBundleError, open_bundle, seal_bundle
from contract.words import DeviceKind, OrderOutcome
from tests.central.kit import CENTRAL_KEY, TENANT, Central, Station
from tests.central.test_lists import DAY_US, LI, OTHER, PAN, WANG, Kit, sanctioned
from tests.orders import FIND

ROOT = Actor("root", frozenset({Role.ADMINISTRATOR}), frozenset({"000000"}))
BUNDLE = KeyBundle(bundle=3, primary=1, keys={1: b"a" * 32, 2: b"b" * 32})


class Rotation:
    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit = kit
        self.keys = TenantKeys(folder / "tenant-keys")
        self.sent: list[SignedOrder] = []
        self.boxes: dict[str, X25519PrivateKey] = {}
        self.desk = KeyDesk(
            kit.central.store,
            kit.central.clock,
            lambda: self.keys,
            vault=lambda: Vault(b"v" * 32),
            tenant=TENANT,
            signer=KeySigner(CENTRAL_KEY),
            publish=self._publish,
            holds=lambda now: kit.holds,
        )
        kit.desk._keys = self.in_force

    def in_force(self) -> list[TenantKey]:
        return [self.keys.key(n) for n in self.desk.state().numbers]

    def _publish(self, raw: bytes) -> None:
        signed = open_order(raw, tenant=TENANT, find_key=FIND)
        self.kit.central.store.add_order(signed, list(signed.order.targets))
        self.sent.append(signed)

    def enrol(self, device: str, seed: int) -> None:
        self.kit.central.enrol(Station(device=device, kind=DeviceKind.ATM, seed=seed))
        box = self.boxes[device] = X25519PrivateKey.generate()
        self.desk.sealed_for(device, box.public_key().public_bytes_raw())

    def answer(self, device: str) -> KeyBundle:
        """The machine opens what was sealed to it and says so."""
        signed = next(s for s in reversed(self.sent) if s.order.targets == (device,))
        assert isinstance(signed.body, SealedKeys)
        with self.kit.central.store.transaction() as tx:
            tx._connection.exec_driver_sql(  # type: ignore[attr-defined]
                f"UPDATE order_targets SET outcome = '{OrderOutcome.APPLIED.value}'"
                f" WHERE device = '{device}'"
            )
        return open_bundle(signed.body.sealed, self.boxes[device], TENANT, device)

    def states(self) -> dict[str, str]:
        return {one.device: one.state for one in self.desk.receipts()}

    def is_listed(self, pan: str, key: int) -> bool:
        newest = self.kit.keeper.files.newest
        assert newest is not None
        return newest.find(card_ref(pan, self.keys.key(key).secret).hmac) is not None


@pytest.fixture
def rotation(either: Central, tmp_path: Path) -> Rotation:
    return Rotation(Kit(either, tmp_path), tmp_path)


def test_a_key_is_taken_in_use_when_every_machine_has_it(rotation: Rotation) -> None:
    kit, desk = rotation.kit, rotation.desk
    rotation.enrol("atm-1", 5)
    rotation.enrol("atm-2", 6)
    assert rotation.states() == {"atm-1": "has", "atm-2": "has"}  # they came with certificates
    kit.put(sanctioned())
    kit.central.clock.advance(1_000_000)
    assert desk.begin(ROOT) == 2
    with pytest.raises(RuleError, match="handed out already"):
        desk.begin(ROOT)
    assert kit.keeper.step()
    assert rotation.is_listed(PAN, 1)
    assert rotation.is_listed(PAN, 2)  # under both, until nobody needs the old one
    kit.put(f"{OTHER},watch,,,,\n")
    assert rotation.is_listed(OTHER, 1)
    assert rotation.is_listed(OTHER, 2)
    assert len(kit.desk.find(LI, OTHER)) == 1
    assert rotation.states() == {"atm-1": "waits", "atm-2": "waits"}
    bundle = rotation.answer("atm-1")
    assert (bundle.primary, sorted(bundle.keys)) == (1, [1, 2])
    with pytest.raises(RuleError, match="1 machines have not receipted it yet: atm-2"):
        desk.switch(ROOT)
    rotation.answer("atm-2")
    kit.stop(PAN, kit.central.clock.wall() + DAY_US)
    desk.switch(ROOT)
    kit.central.clock.advance(1_000_000)
    assert rotation.in_force()[0].number == 2
    with pytest.raises(RuleError, match="have not taken"):
        desk.retire(ROOT, 1)
    assert rotation.answer("atm-1").primary == 2
    rotation.answer("atm-2")
    with pytest.raises(RuleError, match="1 live orders"):
        desk.retire(ROOT, 1)  # the stop of before names its account under the old key
    kit.holds.clear()
    desk.retire(ROOT, 1)
    kit.keeper.step()
    assert not rotation.is_listed(PAN, 1)
    assert rotation.is_listed(PAN, 2)
    assert sorted(rotation.answer("atm-1").keys) == [2]
    acts = [row.action for row in kit.central.store.audit_chain()]
    assert [a for a in acts if a.startswith("tenant_key")] == [
        "tenant_key.begin",
        "tenant_key.switch",
        "tenant_key.retire",
    ]
    with pytest.raises(RuleError, match="the tenant's key was changed"):
        kit.desk.propose_rollback(LI, 1, "")


def test_rows_proposed_before_a_key_came_stand_under_it_too(rotation: Rotation) -> None:
    kit = rotation.kit
    header = "account,listed_for\n"
    change = kit.desk.propose_file(LI, "f", [header, f"{PAN},watch\n"], "")
    rotation.desk.begin(ROOT)
    kit.desk.decide(WANG, change, is_approved=True)
    kit.keeper.step()
    assert rotation.is_listed(PAN, 1)
    assert rotation.is_listed(PAN, 2)


def test_a_machine_without_a_box_key_holds_the_change_up(rotation: Rotation) -> None:
    rotation.kit.central.enrol(Station(device="atm-9", kind=DeviceKind.ATM, seed=9))
    rotation.desk.begin(ROOT)
    assert rotation.states() == {"atm-9": "no_box"}
    with pytest.raises(RuleError, match="atm-9"):
        rotation.desk.switch(ROOT)
    rotation.enrol("atm-9", 9)  # it renews, and the keys of now come with the certificate
    assert rotation.states() == {"atm-9": "has"}
    rotation.desk.switch(ROOT)


def test_no_secret_lies_in_the_store(central: Central, tmp_path: Path) -> None:
    rotation = Rotation(Kit(central, tmp_path), tmp_path)
    rotation.enrol("atm-1", 5)
    rotation.kit.put(sanctioned())
    rotation.desk.begin(ROOT)
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("central.sqlite3*"))
    for key in rotation.in_force():
        assert key.secret not in raw
        assert key.secret.hex().encode() not in raw
    assert PAN.encode() not in raw
    hold = LiveHold(b"x" * 16, card_ref(PAN, b"k" * 32), ListedFor.STOP, 1)
    assert PAN not in repr(hold) + repr(rotation.desk.bundle())
    assert "keys=" not in repr(rotation.desk.bundle())


# -- the bundle itself -----------------------------------------------------------------------------


def test_a_bundle_opens_at_its_machine_alone() -> None:
    own, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    sealed = seal_bundle(BUNDLE, own.public_key().public_bytes_raw(), TENANT, "atm-1")
    assert open_bundle(sealed, own, TENANT, "atm-1") == BUNDLE
    for key, tenant, device in (
        (other, TENANT, "atm-1"),
        (own, "else", "atm-1"),
        (own, TENANT, "atm-2"),
    ):
        with pytest.raises(KeyBundleError, match="not sealed to this machine"):
            open_bundle(sealed, key, tenant, device)
    for at in range(len(sealed)):
        torn = bytearray(sealed)
        torn[at] ^= 1
        with pytest.raises(KeyBundleError):
            open_bundle(bytes(torn), own, TENANT, "atm-1")


@given(st.binary(max_size=200))
def test_no_bytes_are_a_bundle_by_chance(raw: bytes) -> None:
    own = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    with pytest.raises(KeyBundleError):
        open_bundle(raw, own, TENANT, "atm-1")
    try:
        again = KeyBundle.from_bytes(raw)
    except KeyBundleError:
        return
    assert again.to_bytes() == raw


@pytest.mark.parametrize(
    "wrong",
    [{"bundle": 0}, {"primary": 3}, {"keys": {}}, {"keys": {1: b"short"}}],
)
def test_a_bundle_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(KeyBundleError):
        dataclasses.replace(BUNDLE, **wrong)  # type: ignore[arg-type]
