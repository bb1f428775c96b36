"""Every rule has a case that fires it and near misses that must not."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.words import AlertKind, Level, RivalVerdict, Severity
from hardware.readings import NasType, Position, Rat, Reading, SignalType
from rf_watch import RULES, CellContext
from rf_watch.baseline import BaselineLearner
from rf_watch.plan import CellPlan, PlanRow, RegisterRow, VehicleRegister
from rf_watch.tables.china_gsm import ChinaGsm, SwitchedOff
from tests.rf_watch.kit import (
    city,
    gsm,
    learned,
    lte,
    message,
    nas,
    rules_of,
    signal,
    stamp,
    watch,
)

PLAN = CellPlan(
    [
        PlanRow(rat=Rat.GSM, plmn="460-00", channel=62, lac_tac=0x247C, ci=0x1327, cro_db=30),
        PlanRow(rat=Rat.GSM, plmn="460-00", channel=10, lac_tac=0x247C, ci=0x2000),
        PlanRow(rat=Rat.LTE, plmn="460-00", channel=38950, lac_tac=0x4977, pci=401),
    ]
)
PLANNED = CellContext(plan=PLAN)
LEARNED = CellContext(baseline=learned())
OFF = CellContext(gsm=ChinaGsm(switched_off=(SwitchedOff(plmn="460-01"),)))

Story = Sequence[Reading]


@dataclass(frozen=True)
class Case:
    """One rule: what fires it, what comes near, and what the detector was told."""

    fires: Story
    near: tuple[Story, ...]
    context: CellContext | None = None


def failures(*at_s: float) -> list[Reading]:
    return [nas(at, NasType.AUTHENTICATION_FAILURE, cause=20) for at in at_s]


def asked(*then: Reading) -> list[Reading]:
    """The IMSI is asked for in a second session, after an ordinary attach."""
    return [
        lte(0),
        nas(1, NasType.ATTACH_REQUEST),
        nas(2, NasType.ATTACH_ACCEPT),
        nas(10, NasType.ATTACH_REQUEST),
        nas(11, NasType.IDENTITY_REQUEST, identity_type=1),
        *then,
    ]


def unsafe_release(at_s: float) -> list[Reading]:
    return [
        signal(at_s, SignalType.RRC_SETUP),
        signal(at_s + 1, SignalType.RRC_RELEASE, redirect=Rat.GSM),
    ]


def driven_past(speed_mps: float) -> Iterator[Reading]:
    """A suspect that drives east, or stands, while the van circles around its start."""
    for second in range(0, 300, 4):
        angle = second / 20
        van = (500 * math.cos(angle), 500 * math.sin(angle))
        distance = math.hypot(speed_mps * (second - 150) - van[0], van[1])
        where = Position(35.5 + van[1] / 111_320, 112.8 + van[0] / 90_627)
        yield gsm(
            second,
            cell_id=77,
            lac_tac=5121,
            neighbours=0,
            level_dbm=-20 - 35 * math.log10(max(distance, 100) / 100),
            stamp=replace(stamp(second), position=where),
        )


SHORT = gsm(0, t3212_decihours=1)
"""A soft reason for supporting ones to stand beside."""
ODD_LISTS = gsm(9, channel=55, cell_id=9, t3212_decihours=1, neighbour_channels=(90, 91))
SMS_CLEAR: list[Reading] = [
    gsm(0, t3212_decihours=1),
    signal(1, SignalType.LU_REQUEST, Rat.GSM),
    message(2, "13800000000"),
]

CASES: dict[str, Case] = {
    "GSM-PLMN-IMPOSSIBLE": Case(
        [gsm(plmns=("460-11",))], ([gsm()], [lte(plmns=("460-11",))], [gsm(plmns=("460-12",))])
    ),
    "GSM-BAND-IMPOSSIBLE": Case(
        [gsm(channel=787)], ([gsm(channel=786)], [gsm(channel=850, plmns=("454-12",))])
    ),
    "GSM-PLMN-ARFCN-MISMATCH": Case(
        [gsm(plmns=("460-01",), channel=30)],
        (
            [gsm(plmns=("460-00",), channel=30)],
            [gsm(plmns=("460-00",), channel=1005)],  # shared with the railway by region
            [gsm(plmns=("460-04",), channel=100)],  # whose it is, is disputed
            [gsm(plmns=("460-00",), channel=70)],  # in nobody's block
            # without a date ARFCN 82 may be China Mobile's by the plan before 2018
            [gsm(channel=82, stamp=replace(stamp(0), time_basis="synthetic"))],
            [gsm(channel=82, stamp=replace(stamp(0), at_us=1_400_000_000_000_000))],
        ),
    ),
    "GSM-AFTER-SUNSET": Case(
        [gsm(plmns=("460-01",), channel=100)],
        ([gsm(plmns=("460-00",))], [lte(plmns=("460-01",), channel=1500)]),
        OFF,
    ),
    "EMM-AUTH-MAC-FAILURE-RUN": Case(
        failures(0, 1), (failures(0), [*failures(0), nas(1, NasType.ATTACH_ACCEPT), *failures(2)])
    ),
    "LAC_NOT_IN_PLAN": Case(
        [gsm(lac_tac=5121)],
        ([gsm(cell_id=77)], [gsm(lac_tac=0xFFFF)], [gsm(lac_tac=None)]),
        PLANNED,
    ),
    "TAC_NOT_IN_PLAN": Case(
        [lte(lac_tac=7003)],
        ([lte(cell_id=77)], [lte(lac_tac=7003, plmns=("460-01",), channel=1500)]),
        PLANNED,
    ),
    "LAC_OUTSIDE_BASELINE": Case(
        [*city(), gsm(9, channel=55, cell_id=9, lac_tac=5121)],
        (
            [gsm(lac_tac=5121)],  # no witness: this may be another district
            [*city(), gsm(9, channel=55, cell_id=9, lac_tac=0x247D)],
            [*city(), gsm(9, channel=55, cell_id=9, lac_tac=5121, plmns=("460-20",))],
        ),
        LEARNED,
    ),
    "LAC_RESERVED": Case(
        [gsm(lac_tac=0xFFFE)],
        (
            [gsm(lac_tac=0xFFFF)],
            [gsm(lac_tac=1)],
            [gsm(lac_tac=0, stamp=stamp(0, is_checked=False))],  # a modem's "unknown"
        ),
    ),
    "CRO_EXTREME": Case(
        [gsm(cell_id=77, cro_db=90)],
        (
            [gsm(cell_id=77, cro_db=88)],
            [gsm(cell_id=77, cro_db=126, penalty_time=31)],  # TS 45.008: that repels phones
        ),
        PLANNED,
    ),
    "NO_NEIGHBOURS": Case(
        [gsm(neighbours=0)],
        ([gsm(neighbours=1)], [gsm(neighbours=None)], [lte(neighbours=0)]),
    ),
    "T3212_SHORT": Case(
        [gsm(t3212_decihours=2)],
        ([gsm(t3212_decihours=0)], [gsm(t3212_decihours=3)], [gsm(t3212_decihours=None)]),
    ),
    "IDENTITY_CLASH": Case(
        [gsm(), gsm(1, channel=30)],
        (
            [gsm(), gsm(1, channel=30, cell_id=5)],
            [lte(plmns=("460-11", "460-01")), lte(1, plmns=("460-11",))],
        ),
    ),
    "LAC_CHANGES": Case(
        [gsm(), gsm(1, lac_tac=5121)],
        ([gsm(), gsm(1, lac_tac=5121, cell_id=5)], [gsm(), gsm(601, lac_tac=5121)]),
    ),
    "PCI_ON_SEVERAL_EARFCN": Case(
        [lte(0, cell_id=None, physical_id=6), lte(1, cell_id=None, physical_id=6, channel=37900)],
        (
            # one of them is planned
            [
                lte(0, cell_id=None),
                lte(1, cell_id=None, channel=37900),
            ],
            # both name 2585.0 MHz
            [
                lte(0, cell_id=None, physical_id=6, channel=40540),
                lte(1, cell_id=None, physical_id=6, channel=37900),
            ],
        ),
        PLANNED,
    ),
    "UNUSUAL_CONSTANTS": Case(
        [gsm(t3212_decihours=5, rxlev_access_min=0)],
        (
            [gsm()],
            [gsm(t3212_decihours=5)],  # one odd constant is never enough
            [gsm(t3212_decihours=1, rxlev_access_min=0)],  # T3212 has a rule of its own
            [gsm(t3212_decihours=5, rxlev_access_min=0, plmns=("460-01",), channel=100)],
        ),
        LEARNED,
    ),
    "ODD_CONSTANT": Case(
        [gsm(t3212_decihours=5, neighbours=0)],
        (
            [gsm(t3212_decihours=5)],  # alone it is not even told
            [gsm(t3212_decihours=5, rxlev_access_min=0, neighbours=0)],  # two: the stronger rule
            [gsm(neighbours=0)],
        ),
        LEARNED,
    ),
    "REJECT_CAUSE_15": Case(
        [lte(), nas(1, NasType.ATTACH_REQUEST), nas(2, NasType.ATTACH_REJECT, cause=15)],
        (
            [lte(), nas(1, NasType.ATTACH_REQUEST), nas(2, NasType.ATTACH_REJECT, cause=14)],
            [
                lte(),
                nas(1, NasType.ATTACH_REQUEST),
                nas(2, NasType.AUTHENTICATION_RESPONSE),
                nas(3, NasType.ATTACH_REJECT, cause=15),
            ],
        ),
    ),
    "REJECT_THEN_GERAN_REDIRECT": Case(
        [lte(), *unsafe_release(1)],
        (
            [lte(), signal(1, SignalType.RRC_RELEASE, redirect=Rat.GSM)],  # the start is unknown
            [lte(), signal(1, SignalType.RRC_SETUP), signal(2, SignalType.RRC_RELEASE)],
            [lte(), nas(0.5, NasType.EXTENDED_SERVICE_REQUEST), *unsafe_release(1)],  # CSFB
            [
                lte(),
                signal(1, SignalType.RRC_SETUP),
                signal(2, SignalType.RRC_SECURITY_MODE_COMMAND, ciphering=2),
                signal(3, SignalType.RRC_RELEASE, redirect=Rat.GSM),
            ],
        ),
    ),
    "PRIORITY_STEERING_TO_GERAN": Case(
        [lte(priority=4, priority_lte=5, priority_geran=6)],
        (
            [lte(priority=4, priority_lte=6, priority_geran=6)],
            [lte(priority=3, priority_geran=1)],  # a genuine 460-00 log
            [lte(priority=None, priority_geran=7)],
        ),
    ),
    "SPOOFED_SENDER": Case(
        [gsm(), message(1, "+86 10086")],
        ([gsm(), message(1, "13800138000")], [gsm(), message(1, "100860")]),
    ),
    "MESSAGES_HEARD": Case(
        [SHORT, message(1, "13800000000")],
        ([gsm(), message(1, "13800000000")], [SHORT, message(1, "1", part=(9, 2, 2))]),
    ),
    "SMS_WITHOUT_SECURITY": Case(
        SMS_CLEAR,
        (
            [
                SHORT,
                signal(1, SignalType.LU_REQUEST, Rat.GSM),
                signal(1.5, SignalType.MM_AUTHENTICATION_REQUEST, Rat.GSM),
                message(2, "13800000000"),
            ],
            [SHORT, message(2, "13800000000")],  # nobody knows whether it was ciphered
        ),
    ),
    "LU_ACCEPTED_WITHOUT_AUTHENTICATION": Case(
        [
            SHORT,
            signal(1, SignalType.LU_REQUEST, Rat.GSM),
            signal(2, SignalType.LU_ACCEPT, Rat.GSM),
        ],
        (
            [SHORT, signal(2, SignalType.LU_ACCEPT, Rat.GSM)],
            [
                SHORT,
                signal(1, SignalType.LU_REQUEST, Rat.GSM),
                signal(1.5, SignalType.MM_AUTHENTICATION_REQUEST, Rat.GSM),
                signal(2, SignalType.LU_ACCEPT, Rat.GSM),
            ],
        ),
    ),
    "IDENTITY_WITHOUT_SECURITY": Case(
        asked(nas(12, NasType.ATTACH_REJECT, cause=15)),
        (
            asked(nas(12, NasType.AUTHENTICATION_RESPONSE), nas(13, NasType.TAU_REJECT, cause=15)),
            asked(nas(12, NasType.ATTACH_REJECT, cause=15))[:5],
        ),
    ),
    "NULL_CIPHER": Case(
        [
            lte(),
            nas(1, NasType.ATTACH_REQUEST),
            nas(2, NasType.ATTACH_REJECT, cause=15),
            nas(3, NasType.SECURITY_MODE_COMMAND, ciphering=0, integrity=2),
        ],
        (
            [
                lte(),
                nas(1, NasType.ATTACH_REQUEST),
                nas(2, NasType.ATTACH_REJECT, cause=15),
                nas(3, NasType.SECURITY_MODE_COMMAND, ciphering=2, integrity=2),
            ],
            [lte(), nas(3, NasType.SECURITY_MODE_COMMAND, ciphering=0)],  # alone: not even told
        ),
    ),
    "NEIGHBOUR_ASYMMETRY": Case(
        [*city(), ODD_LISTS],
        (
            [
                *city(),
                replace(ODD_LISTS, neighbour_channels=(90, 10)),
            ],  # lists one heard
            [*city(), replace(ODD_LISTS, channel=40, neighbour_channels=(90,))],  # it is listed
            [*city()[:2], ODD_LISTS],
        ),
    ),
    "LONELY_CELL": Case(
        [*city(), replace(ODD_LISTS, lac_tac=5121)],
        ([*city(), ODD_LISTS], [*city()[:2], replace(ODD_LISTS, lac_tac=5121)]),
    ),
    "STRONG_WHILE_OTHERS_SINK": Case(
        [
            *city(0),
            replace(ODD_LISTS, level_dbm=-50.0),
            *city(11, fall_db=15),
            gsm(12, channel=55, cell_id=9, t3212_decihours=1, level_dbm=-48.0),
        ],
        (
            # a tunnel: all sink, none rises
            [
                *city(0),
                replace(ODD_LISTS, level_dbm=-80.0),
                *city(11, fall_db=15),
                gsm(12, channel=55, cell_id=9, t3212_decihours=1, level_dbm=-85.0),
            ],
            [
                *city(0),
                replace(ODD_LISTS, level_dbm=-50.0),
                *city(11),
                gsm(12, channel=55, cell_id=9, t3212_decihours=1, level_dbm=-48.0),
            ],
        ),
    ),
    "CHANNEL_OUTSIDE_PLAN": Case(
        [
            lte(channel=6200),
            nas(1, NasType.ATTACH_REQUEST),
            nas(2, NasType.ATTACH_REJECT, cause=15),
            lte(3, channel=6200),
        ],
        (
            [lte(), nas(1, NasType.ATTACH_REQUEST), nas(2, NasType.ATTACH_REJECT, cause=15)],
            [lte(channel=6200)],
            [lte(channel=6200, plmns=("310-260",))],
        ),
    ),
}

CASES["MOBILE_EMITTER"] = Case(
    list(driven_past(speed_mps=14.0)), (list(driven_past(speed_mps=0.0)),), PLANNED
)


def test_every_rule_has_a_case_that_fires_it_and_one_that_must_not() -> None:
    assert set(CASES) == {rule.id for rule in RULES}
    assert all(case.near for case in CASES.values())


@pytest.mark.parametrize("rule", sorted(CASES))
def test_a_rule_fires_where_it_should(rule: str) -> None:
    case = CASES[rule]
    assert rule in rules_of(watch(case.fires, case.context))


@pytest.mark.parametrize(
    ("rule", "number"), [(r, n) for r in sorted(CASES) for n in range(len(CASES[r].near))]
)
def test_a_near_miss_does_not_fire(rule: str, number: int) -> None:
    case = CASES[rule]
    assert rule not in rules_of(watch(case.near[number], case.context))


# -- levels ---------------------------------------------------------------------------------------

BLASTER = CellContext(
    gsm=ChinaGsm(switched_off=(SwitchedOff(plmn="460-01"),)),
    plan=CellPlan([PlanRow(rat=Rat.GSM, plmn="460-00", channel=20, lac_tac=20481, ci=30511)]),
)


def blaster(at_s: float = 0, **changes: object) -> Reading:
    plain: dict[str, object] = {
        "plmns": ("460-01",),
        "channel": 30,
        "lac_tac": 5121,
        "cell_id": 3,
        "cro_db": 100,
        "t3212_decihours": 2,
        "neighbours": 0,
        "neighbour_channels": (),
    }
    return gsm(at_s, **{**plain, **changes})


def test_a_blaster_of_the_field_reports_is_suspected_by_its_first_reading() -> None:
    (found,) = watch([blaster()], BLASTER)
    assert (found.level, found.severity) == (Level.SUSPECTED, Severity.HIGH)
    assert rules_of([found]) == {
        "GSM-PLMN-ARFCN-MISMATCH",
        "GSM-AFTER-SUNSET",
        "LAC_NOT_IN_PLAN",
        "CRO_EXTREME",
        "NO_NEIGHBOURS",
        "T3212_SHORT",
    }


def test_a_suspected_cell_that_sends_spoofed_messages_is_confirmed_in_the_same_detection() -> None:
    story = [blaster(), blaster(10, lac_tac=5122), message(11, "10010")]
    (found,) = watch(story, BLASTER)
    assert (found.level, found.alert) == (Level.CONFIRMED, AlertKind.FAKE_BTS_CONFIRMED)
    assert {"LAC_CHANGES", "SPOOFED_SENDER"} <= rules_of([found])
    heard = next(r for r in found.reasons if r.rule == "MESSAGES_HEARD")
    assert heard.values == {"messages": 1, "classes": "unclassified 1"}
    assert "text" not in repr(found)


def test_a_registered_drive_test_car_is_noted_and_not_alerted() -> None:
    car = RegisterRow(
        plate="E-TEST9", unit="MU", rat=Rat.GSM, plmn="460-00", channel=8, lac_tac=64001, ci=2
    )
    context = replace(BLASTER, register=VehicleRegister([car]))
    seen = gsm(channel=8, lac_tac=64001, cell_id=2, neighbours=0)
    (found,) = watch([seen], context)
    assert (found.level, found.alert) == (Level.OBSERVED, None)
    rival = {r.explanation: r for r in found.rivals}["REGISTERED_TEST_VEHICLE"]
    assert (rival.verdict, rival.values) == (RivalVerdict.POSSIBLE, {"plate": "E-TEST9"})
    (unregistered,) = watch([seen], BLASTER)
    assert unregistered.alert is AlertKind.FAKE_BTS_SUSPECTED


def test_a_cell_that_is_a_plan_row_in_every_field_has_no_reasons() -> None:
    row = PlanRow(rat=Rat.GSM, plmn="460-00", channel=20, lac_tac=20481, ci=30511, cro_db=30)
    context = CellContext(plan=CellPlan([row]))
    new_site = gsm(channel=20, lac_tac=20481, cell_id=30511, cro_db=30, neighbours=0)
    assert watch([new_site], context) == []
    assert watch([replace(new_site, cro_db=100)], context) != []


def test_a_plan_row_counts_only_while_it_is_in_force() -> None:
    row = PlanRow(
        rat=Rat.GSM,
        plmn="460-00",
        channel=62,
        lac_tac=0x247C,
        ci=0x1327,
        valid_to=dt.date(2024, 1, 1),
    )
    assert rules_of(watch([gsm()], CellContext(plan=CellPlan([row])))) >= {"LAC_NOT_IN_PLAN"}


def test_an_lte_catcher_is_one_track_over_its_carriers() -> None:
    plan = CellPlan([PlanRow(rat=Rat.LTE, plmn="460-01", channel=1500, lac_tac=20501, pci=55)])
    story: list[Reading] = [
        lte(0, plmns=("460-01",), cell_id=None, physical_id=211, channel=1500, lac_tac=7003),
        lte(1, plmns=("460-01",), cell_id=None, physical_id=211, channel=300, lac_tac=7009),
        nas(2, NasType.ATTACH_REQUEST),
        nas(3, NasType.ATTACH_REJECT, cause=15),
    ]
    (found,) = watch(story, CellContext(plan=plan))
    assert found.alert is AlertKind.FAKE_BTS_SUSPECTED
    assert rules_of([found]) == {"TAC_NOT_IN_PLAN", "PCI_ON_SEVERAL_EARFCN", "REJECT_CAUSE_15"}


def test_an_ordinary_redirect_of_china_mobile_is_no_alert() -> None:
    """TAU reject 10, attach, identity request, attach reject 15: a genuine log of 2020."""
    story: list[Reading] = [
        lte(),
        nas(1, NasType.TAU_REQUEST),
        nas(2, NasType.TAU_REJECT, cause=10),
        nas(3, NasType.ATTACH_REQUEST),
        nas(4, NasType.IDENTITY_REQUEST, identity_type=1),
        nas(5, NasType.IDENTITY_RESPONSE),
        nas(6, NasType.ATTACH_REJECT, cause=15),
    ]
    for readings in (story, story[1:]):
        (found,) = watch(readings)
        assert (found.level, found.alert) == (Level.OBSERVED, None)


def test_a_reject_and_the_redirect_that_follows_it_are_one_reason() -> None:
    story: list[Reading] = [
        lte(),
        signal(1, SignalType.RRC_SETUP),
        nas(1.1, NasType.ATTACH_REQUEST),
        nas(1.2, NasType.IDENTITY_REQUEST, identity_type=1),
        nas(1.4, NasType.ATTACH_REJECT, cause=15),
        signal(1.6, SignalType.RRC_RELEASE, redirect=Rat.GSM),
    ]
    (found,) = watch(story)
    assert {"REJECT_CAUSE_15", "REJECT_THEN_GERAN_REDIRECT"} <= rules_of([found])
    assert (found.level, found.alert) == (Level.OBSERVED, None)
    redirect = next(r for r in found.reasons if r.rule == "REJECT_THEN_GERAN_REDIRECT")
    assert redirect.values["after_reject_s"] == 0.2


def test_two_genuine_cells_on_one_carrier_are_no_rotating_area() -> None:
    first = gsm(0, channel=40)
    second_si4 = gsm(5, channel=40, cell_id=None, physical_id=None, lac_tac=0x247D)
    second = gsm(6, channel=40, cell_id=9, physical_id=12, lac_tac=0x247D)
    assert watch([first, second_si4, second, first, second_si4]) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"physical_id": 156},
        {"physical_id": 2147483647},
        {"lac_tac": 0xFFFF},
        {"cell_id": 0xFFFF},
        {"level_dbm": -32768.0},
        {"level_dbm": None, "channel": None},
        {"cell_id": -32768},
    ],
)
def test_an_impossible_value_is_never_evidence(odd: dict[str, object]) -> None:
    for context in (None, LEARNED):
        assert watch([*city(), gsm(1), gsm(2, **odd), gsm(3, **odd), gsm(4)], context) == []


def test_one_soft_reason_needs_a_great_deal_of_support() -> None:
    lonely = replace(ODD_LISTS, lac_tac=5121)
    (found,) = [d for d in watch([*city(), lonely]) if d.alert]
    assert rules_of([found]) == {"T3212_SHORT", "NEIGHBOUR_ASYMMETRY", "LONELY_CELL"}
    assert found.score == pytest.approx(6.9)
    assert all(d.alert is None for d in watch([*city(), ODD_LISTS]))


def test_a_cell_that_looks_as_it_was_learned_is_not_odd() -> None:
    lonely = gsm(1, channel=55, cell_id=9, lac_tac=5121, t3212_decihours=1, cro_db=40)
    learner = BaselineLearner()
    for reading in [*city(), lonely, *(gsm(n, cell_id=500 + n) for n in range(60))]:
        learner.feed(reading)
    context = CellContext(baseline=learner.baseline("x", 1))
    supplement = gsm(
        2, plmns=(), channel=55, cell_id=None, lac_tac=None, physical_id=None, neighbours=0
    )
    assert watch([*city(), lonely, supplement, lonely], context) == []
    changed = replace(lonely, cro_db=120)
    assert watch([*city(), changed, supplement, changed], context)[0].alert is not None
    moving = replace(lonely, lac_tac=5122)
    assert "LAC_CHANGES" in rules_of(watch([*city(), lonely, moving], context))


# -- benign readings never raise a score ---------------------------------------------------------

ATTACK: list[Reading] = [
    *city(0),
    *city(1),
    gsm(2, channel=45, cell_id=5, lac_tac=5121, neighbours=0, neighbour_channels=(), cro_db=126),
    gsm(4, channel=45, cell_id=5, lac_tac=5122, neighbours=0, neighbour_channels=(), cro_db=126),
    lte(5),
    nas(6, NasType.ATTACH_REQUEST),
    nas(7, NasType.ATTACH_REJECT, cause=15),
    message(8, "95533"),
]
BENIGN = [*city(0), lte(0), nas(0, NasType.ATTACH_ACCEPT), nas(0, NasType.EMM_INFORMATION)]


def moved(reading: Reading, at_s: float) -> Reading:
    return replace(reading, stamp=stamp(at_s))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(BENIGN), st.floats(1.5, 590, allow_nan=False)), max_size=30)
)
def test_readings_of_genuine_cells_that_are_heard_already_never_raise_a_score(
    extra: list[tuple[Reading, float]],
) -> None:
    """A comparison needs its witnesses once; more of them only ever speak for innocence."""
    scores = {d.track_id: (d.score, d.level.rank) for d in watch(ATTACK, LEARNED)}
    more = [*ATTACK, *(moved(reading, at_s) for reading, at_s in extra)]
    more.sort(key=lambda reading: reading.stamp.at_us)
    for found in watch(more, LEARNED):
        score, rank = scores[found.track_id]  # and no further track is accused
        assert found.score <= score
        assert found.level.rank <= rank


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(BENIGN), st.floats(0, 3000, allow_nan=False)), max_size=60)
)
def test_genuine_readings_alone_say_nothing(extra: list[tuple[Reading, float]]) -> None:
    story = sorted((moved(reading, at_s) for reading, at_s in extra), key=lambda r: r.stamp.at_us)
    for context in (None, LEARNED):
        assert watch(story, context) == []
