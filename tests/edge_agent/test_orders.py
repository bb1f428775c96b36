"""Orders at the device: applied once, refused for a reason, reported whatever dies in between."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import UnixMicros
from contract.clock import ClockQuality, MonoMicros
from contract.codec import decode, from_map
from contract.cosign import assemble, order_content, sign_content
from contract.envelope import NO_PREVIOUS, seal
from contract.keys import KeySigner
from contract.messages import OrderResult, TimeHint, order_result_id
from contract.orders import AccountRelease, Configuration, Officer, Officers, ReportHealth
from contract.topics import Channel
from contract.words import DecisionReason, DeviceKind, OrderOutcome, OrderRefusal, OrderType
from edge_agent.orders import MAX_REFUSALS_A_MINUTE, TRIAL_US, OrderDesk
from tests.authenticator import ORIGIN, PRESENT, RP_ID, Authenticator
from tests.edge_agent.order_desks import BOOT, Bench, with_officers
from tests.orders import (
    CARD,
    CENTRAL_KEY,
    HOUR_US,
    NOW,
    OFFICERS,
    TENANT,
    a_body,
    an_order,
    delivered,
    officers,
    signed,
)

STOP_ID = an_order(OrderType.STOP_PAYMENT).order_id


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def desk(bench: Bench) -> OrderDesk:
    desk = bench.open()
    with_officers(desk)
    bench.results.clear()
    return desk


def told(bench: Bench, desk: OrderDesk, raw: bytes) -> list[tuple[str, str]]:
    """Outcome and reason of what a message leads to."""
    bench.results.clear()
    desk.take(Channel.ORDERS, raw)
    desk.step()
    return [(r.outcome.value, r.reason.value if r.reason else "") for r in bench.results]


def release(number: int = 2, **changes: object) -> bytes:
    body = AccountRelease(account=CARD, releases=(STOP_ID,))
    return signed(OrderType.RELEASE_STOP, number, body=dataclasses.replace(body, **changes))  # type: ignore[arg-type]


def test_a_stop_holds_the_account_until_its_release(bench: Bench, desk: OrderDesk) -> None:
    assert desk.hold_on(CARD) is None
    assert told(bench, desk, delivered(signed())) == [("applied", "")]
    assert desk.hold_on(CARD) is DecisionReason.STOP_PAYMENT
    assert told(bench, desk, delivered(signed(OrderType.FREEZE, 3))) == [("applied", "")]
    assert told(bench, desk, delivered(release())) == [("applied", "")]
    assert desk.hold_on(CARD) is DecisionReason.FROZEN


def test_a_term_ends_by_itself_and_is_reported(bench: Bench, desk: OrderDesk) -> None:
    told(bench, desk, delivered(signed()))
    bench.results.clear()
    bench.clock.advance(48 * HOUR_US)
    assert desk.hold_on(CARD) is None
    desk.step()
    assert [r.outcome for r in bench.results] == [OrderOutcome.ENDED]


def test_a_stop_that_comes_after_its_release_holds_nothing(bench: Bench, desk: OrderDesk) -> None:
    assert told(bench, desk, delivered(release())) == [("applied", "")]
    assert told(bench, desk, delivered(signed())) == [("refused", "superseded")]
    assert desk.hold_on(CARD) is None


def test_a_release_ends_only_holds_on_its_own_account(bench: Bench, desk: OrderDesk) -> None:
    told(bench, desk, delivered(signed()))
    other = dataclasses.replace(CARD, hmac=b"\x05" * 32)
    told(bench, desk, delivered(release(account=other)))
    assert desk.hold_on(CARD) is DecisionReason.STOP_PAYMENT


def test_the_same_bytes_again_are_a_replay_and_the_centrals_own_repetition_is_not(
    bench: Bench, desk: OrderDesk
) -> None:
    first = delivered(signed())
    assert told(bench, desk, first) == [("applied", "")]
    assert told(bench, desk, first) == [("refused", "replayed")]
    assert told(bench, desk, signed()) == [("refused", "replayed")]
    assert told(bench, desk, delivered(signed(), attempt=2, mono=6_000_000)) == []
    assert told(bench, desk, delivered(signed(), attempt=2, mono=6_000_000)) == [
        ("refused", "replayed")
    ]


def test_a_late_first_delivery_is_no_replay(bench: Bench, desk: OrderDesk) -> None:
    bench.clock.advance(HOUR_US)
    assert told(bench, desk, signed()) == [("applied", "")]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (signed(by=[]), OrderRefusal.NOT_SIGNED),
        (delivered(signed(by=[OFFICERS["li"]])), OrderRefusal.NOT_SIGNED_BY_TWO),
        (delivered(signed(by=[CENTRAL_KEY])), OrderRefusal.UNKNOWN_SIGNER),
        (delivered(signed(targets=("atm-2",))), OrderRefusal.WRONG_TARGET),
        (delivered(signed(), device="atm-2"), OrderRefusal.WRONG_TARGET),
        (delivered(signed(expires=UnixMicros(NOW + 1), not_before=NOW)), OrderRefusal.EXPIRED),
        (delivered(signed(not_before=UnixMicros(NOW + HOUR_US))), OrderRefusal.NOT_YET_VALID),
        (delivered(signed(number=1000)), OrderRefusal.REPLAYED),  # the counter of the bundle
        (delivered(signed(tenant="other")), OrderRefusal.BAD_SIGNATURE),
        (b"", OrderRefusal.MALFORMED),
        (b"\x00" * 100_000, OrderRefusal.MALFORMED),
        (
            delivered(signed(OrderType.OFFICERS, 5, by=[OFFICERS["li"]])),
            OrderRefusal.UNKNOWN_SIGNER,
        ),
        (
            delivered(signed(OrderType.CONFIGURATION, 5, by=[OFFICERS["li"], OFFICERS["wang"]])),
            OrderRefusal.UNKNOWN_SIGNER,
        ),
    ],
)
def test_what_is_not_right_is_refused_and_reported(
    bench: Bench, desk: OrderDesk, raw: bytes, reason: OrderRefusal
) -> None:
    bench.clock.advance(2)
    assert told(bench, desk, raw) == [("refused", reason.value)]
    assert desk.hold_on(CARD) is None


def test_a_van_follows_no_order_on_an_account(tmp_path: Path) -> None:
    bench = Bench(tmp_path, device="van-1", kind=DeviceKind.VAN)
    desk = bench.open()
    with_officers(desk)  # the delivery names another device
    assert [r.reason for r in bench.results] == [OrderRefusal.WRONG_TARGET]
    bench.results.clear()
    desk.take(Channel.CONFIGURATION, delivered(signed(OrderType.OFFICERS, 1000), device="van-1"))
    desk.step()
    assert told(bench, desk, delivered(signed(), device="van-1")) == [("refused", "wrong_target")]


def test_without_the_bundle_no_officer_is_known_and_a_removed_one_no_more(bench: Bench) -> None:
    desk = bench.open()
    assert told(bench, desk, delivered(signed())) == [("refused", "unknown_signer")]
    with_officers(desk)
    newer = signed(OrderType.OFFICERS, 1001, body=officers("wang", "zhao", bundle=2))
    assert told(bench, desk, delivered(newer)) == [("applied", "")]
    assert told(bench, desk, delivered(signed())) == [("refused", "unknown_signer")]
    older = signed(OrderType.OFFICERS, 1002, body=officers(bundle=1))
    assert told(bench, desk, delivered(older)) == [("refused", "old_version")]
    by_the_others = signed(by=[OFFICERS["wang"], OFFICERS["zhao"]])
    assert told(bench, desk, delivered(by_the_others)) == [("applied", "")]


def bundle_of(*officers: Officer, number: int) -> bytes:
    body = Officers(bundle=number, officers=officers, rp_id=RP_ID, origins=(ORIGIN,))
    return delivered(signed(OrderType.OFFICERS, 2000 + number, body=body))


def test_an_authenticator_signs_beside_a_key_file_until_it_is_taken_off(bench: Bench) -> None:
    desk = bench.open()
    wang = Authenticator("wang", ec.derive_private_key(7, ec.SECP256R1()))
    li = officers("li").officers[0]
    # Its own key file begins to count only later: that is no reason against the authenticator.
    later = dataclasses.replace(officers("wang").officers[0], valid_from=UnixMicros(NOW + HOUR_US))

    def stop(number: int, who: Authenticator = wang) -> bytes:
        content = order_content(
            an_order(OrderType.STOP_PAYMENT, number), a_body(OrderType.STOP_PAYMENT)
        )
        part = sign_content(content, tenant=TENANT, signer=KeySigner(OFFICERS["li"]))
        return delivered(assemble(content, [part, who.sign(content)]))

    told(bench, desk, bundle_of(li, wang.entry, later, number=1))
    assert told(bench, desk, stop(1)) == [("applied", "")]
    unverified = dataclasses.replace(wang, flags=PRESENT)
    elsewhere = dataclasses.replace(wang, client={"origin": "https://evil.example"})
    for number, who in ((2, unverified), (3, elsewhere)):
        assert told(bench, desk, stop(number, who)) == [("refused", "bad_signature")]
    by_file = delivered(signed(number=4, by=[OFFICERS["li"], OFFICERS["wang"]]))
    assert told(bench, desk, by_file) == [("refused", "unknown_signer")]
    told(bench, desk, bundle_of(li, later, number=2))
    assert told(bench, desk, stop(5)) == [("refused", "unknown_signer")]


def test_a_clock_set_back_over_a_restart_revives_no_order(bench: Bench, desk: OrderDesk) -> None:
    bench.clock.advance(25 * HOUR_US)
    desk.step()
    bench.store.close()
    former = Bench(bench.folder)  # its clock stands at NOW again
    assert told(former, former.open(), delivered(signed())) == [("refused", "expired")]


def test_used_ids_outlive_a_restart(bench: Bench, desk: OrderDesk) -> None:
    first = delivered(signed())
    told(bench, desk, first)
    bench.store.close()
    again = bench.open()
    assert again.hold_on(CARD) is DecisionReason.STOP_PAYMENT
    assert told(bench, again, first) == [("refused", "replayed")]


def test_a_command_acts_once_and_a_flood_is_not_reported_for_ever(
    bench: Bench, desk: OrderDesk
) -> None:
    assert told(bench, desk, delivered(signed(OrderType.REPORT_HEALTH, 7))) == [("applied", "")]
    assert bench.acted == [ReportHealth()]
    bench.results.clear()
    for number in range(3 * MAX_REFUSALS_A_MINUTE):
        desk.take(Channel.ORDERS, b"junk %d" % number)
    desk.step()
    assert len(bench.results) == MAX_REFUSALS_A_MINUTE
    assert desk.counters["unreported"] == 2 * MAX_REFUSALS_A_MINUTE


def hint(
    bench: Bench, *, ahead_us: int = 0, echo_us: int = 4_000_000, device: str = "atm-1"
) -> bytes:
    return seal(
        TimeHint(device=device, echo_boot=BOOT, echo_mono=MonoMicros(echo_us)),
        tenant=TENANT,
        device="central",
        boot_id=b"\x09" * 16,
        seq=0,
        wall=UnixMicros(bench.clock.wall() + ahead_us),
        mono=MonoMicros(1),
        quality=ClockQuality(is_synced=True),
        prev=NO_PREVIOUS,
        signer=KeySigner(CENTRAL_KEY),
    )


def configuration(bundle: int, period_s: float, number: int) -> bytes:
    body = Configuration(bundle=bundle, settings={"health.period_s": period_s})
    return delivered(signed(OrderType.CONFIGURATION, number, body=body))


def test_a_configuration_that_never_proves_itself_is_rolled_back(
    bench: Bench, desk: OrderDesk
) -> None:
    assert told(bench, desk, configuration(1, 7.0, 10)) == [("applied", "")]
    desk.take(Channel.TIME, hint(bench))  # the central was heard with it
    assert told(bench, desk, configuration(2, 9.0, 11)) == [("applied", "")]
    assert desk.setting("health.period_s") == 9.0
    assert desk.roll_back()
    assert desk.setting("health.period_s") == 7.0
    desk.step()
    assert bench.results[-1].outcome is OrderOutcome.ROLLED_BACK
    assert not desk.roll_back()
    assert told(bench, desk, configuration(2, 9.0, 12)) == [("refused", "old_version")]
    told(bench, desk, configuration(3, 9.0, 13))
    for _ in range(3):  # dies again and again with it
        bench.store.close()
        desk = bench.open()
    assert desk.setting("health.period_s") == 7.0


def test_a_configuration_under_which_the_central_is_silent_is_rolled_back(
    bench: Bench, desk: OrderDesk
) -> None:
    told(bench, desk, configuration(1, 7.0, 10))
    bench.clock.advance(TRIAL_US - 1)
    desk.step()
    assert desk.setting("health.period_s") == 7.0
    bench.clock.advance(1)
    desk.step()
    assert desk.setting("health.period_s") is None


def test_the_centrals_time_bounds_a_wrong_clock(bench: Bench, desk: OrderDesk) -> None:
    desk.take(Channel.TIME, hint(bench, ahead_us=-95_000_000))
    bounds = bench.time.bounds()
    assert bounds is not None
    assert bounds.latest - bounds.earliest == 1_000_000
    assert bench.time.skew_s() == pytest.approx(94.0)
    assert bench.time.now() == NOW - 94_000_000
    desk.take(Channel.TIME, hint(bench, ahead_us=48 * HOUR_US, device="atm-2"))  # not for us
    desk.take(Channel.TIME, hint(bench, ahead_us=48 * HOUR_US, echo_us=9_000_000))  # not yet
    desk.take(Channel.TIME, b"junk")
    assert bench.time.bounds() == bounds


def test_a_kill_between_any_two_steps_loses_nothing_and_reports_once(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.edge_agent.order_desks"]
    deaths = 0
    for die_at in range(1, 40):
        folder = tmp_path / str(die_at)
        folder.mkdir()
        done = subprocess.run([*program, str(folder), str(die_at)], check=False)
        deaths += done.returncode == -9
        bench = Bench(folder)
        desk = bench.open()
        desk.take(Channel.CONFIGURATION, delivered(signed(OrderType.OFFICERS, 1000), attempt=2))
        desk.take(Channel.ORDERS, delivered(signed(), attempt=2))
        desk.take(Channel.COMMANDS, delivered(signed(OrderType.REPORT_HEALTH, 7), attempt=2))
        desk.step()
        lines = folder / "results"
        written = lines.read_text(encoding="ascii").split() if lines.exists() else []
        results = [from_map(OrderResult, decode(bytes.fromhex(line))) for line in written]
        ids = {order_result_id("atm-1", result) for result in [*results, *bench.results]}
        assert len(ids) == 3, die_at
        assert desk.hold_on(CARD) is DecisionReason.STOP_PAYMENT
        bench.store.close()
        if done.returncode == 0:
            break
    assert deaths >= 10


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=80) | st.just(signed(by=[])), max_size=4))
def test_no_bytes_stop_the_desk(
    tmp_path_factory: pytest.TempPathFactory, raws: list[bytes]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("desk"))
    desk = bench.open()
    for raw in raws:
        desk.take(Channel.ORDERS, raw)
    desk.step()
    assert all(r.outcome is OrderOutcome.REFUSED for r in bench.results)
    bench.store.close()
