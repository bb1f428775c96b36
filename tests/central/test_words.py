"""Every text in both languages, and the choice between them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Role
from central.alert_states import AlertAction, AlertState, ReasonCode
from central.alerts import MANY_CARDS_RULE, family
from central.alerts import TECHNICAL as TECHNICAL_KINDS
from central.allow import AllowanceKind
from central.case_desk import PART_KINDS, SOURCES
from central.case_states import CaseAction, CaseReason, CaseState
from central.clocks import ClockState, Subject, load_law
from central.dispatch import DispatchState
from central.dissuasion import Outcome, Risk, Step
from central.intake.alarm import Wrong
from central.intake.desk import KIND as ALARM_CASE
from central.numbers import IMPERSONATED_NOT_FRAUD
from central.orders.entry import MISTAKES
from central.orders.kinds import OrderKind, OrderState, Trigger
from central.orders.kinds import Reason as OrderReason
from central.orders.wrongly_held import Ground
from central.places import Basis
from central.refund_desk import RefundState
from central.refunds import Method
from central.reports import INDICATORS, STATED
from central.statistics import Form, Verdict
from central.technical import RULES as TECHNICAL
from central.web import key_pages, list_pages, number_pages, unit_pages
from central.web import words as words_module
from central.web.alerts import GROUPS as GROUPS_OF_ALERTS
from central.web.cases import GROUPS as GROUPS_OF_CASES
from central.web.clocks import BY_HAND, GROUNDS
from central.web.navigation import ENTRIES, WATCH
from central.web.navigation import GROUPS as GROUPS_OF_PAGES
from central.web.orders import GROUPS as GROUPS_OF_ORDERS
from central.web.present import Presenter
from central.web.told import STATUS
from central.web.words import LOCALES, Language, Words, choose, read_catalogue
from contract import Refusal
from contract import words as w
from contract.codec import Values
from contract.messages import BODY_TYPES
from contract.topics import Lane
from rf_watch.broadcast.tracks import CaseState as SignalState
from rf_watch.monthly import COLUMNS
from rf_watch.rules import RULES, Family

WEB = Path(words_module.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
READ_NOT_SAID = {"licences.py", "sms_class.py", "baseline.py"}
"""Modules of the detectors whose keys are those of files that they read and write."""
SAID_BY_NAME = {
    *("t3212", "rxlev_access_min", "cro_db", "hysteresis_db", "ms_txpwr", "bandwidth_rb"),
    *("long_ps", "enhanced_radiotext", "ps_scroll", "above_lte_by", "t3212_decihours"),
}
"""Keys that a detector passes on as a text."""
RULES_OF_ATMS = [
    *("LIVENESS_FAILED", "STOP_PAYMENT", "FROZEN", MANY_CARDS_RULE),
    *(alarm.name for alarm in w.MachineAlarmKind),
]
GROUPS: dict[str, list[str]] = (
    {
        group: [word.value for word in closed]
        for group, closed in {
            "alert": w.AlertKind,
            "severity": w.Severity,
            "level": w.Level,
            "detection": w.DetectionKind,
            "verdict": w.RivalVerdict,
            "basis": w.TimeBasis,
            "decision": w.Decision,
            "reason": w.DecisionReason,
            "pin": w.PinVerdict,
            "pad": w.Pad,
            "device": w.DeviceKind,
            "presence": w.Presence,
            "part_state": w.PartState,
            "refusal": Refusal,
            "gap": w.GapReason,
            "family": Family,
            "order_kind": OrderKind,
            "order_state": OrderState,
            "order_step": Trigger,
            "order_reason": OrderReason,
            "order_outcome": w.OrderOutcome,
            "order_refusal": w.OrderRefusal,
            "ground": Ground,
        }.items()
        if issubclass(closed, StrEnum)
    }
    | {"lane": [lane.name.lower() for lane in Lane]}
    | {
        "rule": [rule.id for rule in RULES] + RULES_OF_ATMS + list(TECHNICAL),
        "state": [state.value for state in AlertState],
        "action": [action.value for action in AlertAction],
        "code": [code.value for codes in (ReasonCode, CaseReason) for code in codes],
        "case_state": [state.value for state in CaseState],
        "case_action": [action.value for action in CaseAction],
        "case_group": list(GROUPS_OF_CASES),
        "case_kind": [family(kind) for kind in w.AlertKind if kind not in TECHNICAL_KINDS]
        + [ALARM_CASE],
        "clock": [subject.value for subject in Subject],
        "clock_state": [state.value for state in ClockState],
        "notice": ["warning", "overdue", "term_over"],
        "happening": [happening.value for happening in BY_HAND],
        "ground": list(GROUNDS),
        "via": ["webhook", "mqtt", "form"],
        "indicator": [*(i.name for i in INDICATORS), *STATED],
        "miit": list(COLUMNS),
        "report": ["day", "month"],
        "report_column": [
            *("figure", "now", "days", "previous", "pop", "pop_days", "year_ago", "yoy", "yoy_days")
        ],
        "audit_form": [form.value for form in Form],
        "audit_verdict": [*(verdict.value for verdict in Verdict), "unchecked"],
        "refund_method": [method.value for method in Method],
        "refund_why": [method.value for method in Method],
        "refund_state": [state.value for state in RefundState],
        "claim_wrong": [
            *("three_parts", "no_amount", "no_time", "too_many", "no_held", "no_claim", "twice"),
        ],
        "alarm_wrong": [wrong.value for wrong in Wrong],
        "part_kind": list(PART_KINDS),
        "dispatch_state": [state.value for state in DispatchState],
        "source": list(SOURCES),
        "allowance": [kind.value for kind in AllowanceKind],
        "told": [headline for _, headline in STATUS.values()],
        "alert_group": list(GROUPS_OF_ALERTS),
        "page": [entry.name for entry in ENTRIES],
        "group": [group.name for group in GROUPS_OF_PAGES if group.name != WATCH],
        "role": [role.value for role in Role],
        "certificate": ["valid", "ends_soon", "expired", "revoked"],
        "outcome": ["done", "refused"],
        "order_group": list(GROUPS_OF_ORDERS),
        "mistake": list(MISTAKES),
        "bundle": [w.OrderType.CONFIGURATION.value, w.OrderType.OFFICERS.value],
        "bundle_state": [
            *("pending", "expired"),
            *(o.value for o in w.OrderOutcome if o is not w.OrderOutcome.ENDED),
        ],
        "position": [basis.value for basis in Basis],
        "list_state": ["current", "behind", "stale", "none"],
        "list_why": list(list_pages.WHY),
        "list_kind": list(list_pages.KINDS),
        "list_change": list(list_pages.STATES),
        "list_source": ["file", "order"],
        "listed": list_pages.LISTED,
        "blocks_of": list(number_pages.BLOCKS_OF),
        "number_why": [IMPERSONATED_NOT_FRAUD, "NOT_FRAUD"],
        "number_state": list(number_pages.NUMBER_STATES),
        "push": list(number_pages.PUSH_STATES),
        "unit": list(unit_pages.KINDS),
        "feed": list(unit_pages.FEEDS),
        "risk": [risk.value for risk in Risk],
        "step": [step.value for step in Step],
        "step_outcome": [outcome.value for outcome in Outcome],
        "key_state": list(key_pages.STATES),
        "key_receipt": list(key_pages.RECEIPTS),
        "message": list(BODY_TYPES),
        "law": [row.id for row in load_law().rows],
        "value": [
            *(state.value for state in SignalState),
            *("SPECTRUM", "AUDIO_30S", "NOT_IN_LICENCE_DB", "LEAD", "placement", "lac"),
        ],
    }
)


@pytest.fixture(params=list(Language), ids=lambda language: language.value)
def words(request: pytest.FixtureRequest) -> Words:
    return read_catalogue(request.param)


def used_texts() -> Iterator[str]:
    """Every text the templates and modules ask for."""
    methods = [("templates/**.html", "jinja2"), ("**.py", "python")]
    keywords = {"_": None, "text": None}
    for folder in (WEB, WEB.parent / "reports"):
        for _, _, message, _, _ in extract_from_dir(folder, methods, keywords=keywords):
            assert isinstance(message, str)
            yield message


def test_every_text_of_the_pages_is_in_the_catalogue(words: Words) -> None:
    asked = set(used_texts())
    assert len(asked) > 80
    assert not {text for text in asked if not words.texts.get(text)}


def test_no_catalogue_holds_a_text_that_nobody_asks_for(words: Words) -> None:
    named = re.compile(r"[a-z_]+\.\S+$|(part|detail)\..+$")  # agents' own sentences have spaces
    plain = {key for key in words.texts if not named.match(key)}
    assert not plain - set(used_texts())


def test_every_word_of_the_closed_lists_has_a_text(words: Words) -> None:
    missing = [
        f"{group}.{name}"
        for group, names in GROUPS.items()
        for name in names
        if not words.texts.get(f"{group}.{name}")
    ]
    assert not missing


def said_keys() -> Iterator[str]:
    """Every key under which a rule or a rival may say a value, by the source of the detectors."""
    yield from SAID_BY_NAME
    for path in sorted((ROOT / "rf_watch").rglob("*.py")):
        if path.name in READ_NOT_SAID:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[ast.expr | None] = []
            if isinstance(node, ast.Dict):
                names = node.keys
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                names = [node.slice]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
                ("_finding", "dict")
            ):
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)
            for name in names:
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value


def test_every_value_that_a_rule_may_say_has_a_name(words: Words) -> None:
    keys = {key for key in said_keys() if re.fullmatch(r"[a-z][a-z0-9_]*", key)}
    assert {"evidence", "fall_db", "weakest_parent_db", "sightings", "shift_m"} <= keys
    assert not {key for key in keys if not words.texts.get(f"field.{key}")}


def test_closed_words_among_values_are_in_the_readers_language() -> None:
    values: Values = {
        "state": "CANDIDATE",
        "evidence": "SPECTRUM,NOT_IN_LICENCE_DB",
        "needs": "",
    }
    chinese, english = (Presenter(read_catalogue(language), 480) for language in Language)
    assert chinese.pairs(values) == [["证据", "频谱, 许可名录中没有"], ["状态", "待查"]]
    assert english.pairs({"ruled_out_by": "LONELY_CELL"}) == [
        ["ruled out by", english.words.word("rule", "LONELY_CELL")]
    ]


def test_both_catalogues_have_the_same_entries_and_no_empty_ones() -> None:
    chinese, english = (read_catalogue(language) for language in Language)
    assert set(chinese.texts) == set(english.texts)
    assert all(chinese.texts.values())
    assert all(english.texts.values())


def test_catalogues_are_valid_and_the_chinese_is_chinese() -> None:
    for language in Language:
        with (LOCALES / language.folder / "LC_MESSAGES/messages.po").open("rb") as file:
            catalogue = read_po(file, locale=language.folder, abort_invalid=True)
        assert not list(catalogue.check())
        assert not [entry.id for entry in catalogue if entry.fuzzy and entry.id]
    chinese = read_catalogue(Language.ZH_CN).texts
    latin = {key for key, text in chinese.items() if not re.search(r"[\u4e00-\u9fff]", text)}
    assert all(key.startswith("field.") for key in latin), latin


def test_no_title_of_a_suspicion_states_it_as_certain(words: Words) -> None:
    for kind in w.AlertKind:
        if kind.value.endswith("_SUSPECTED") or kind is w.AlertKind.PRESENTATION_ATTACK:
            assert re.search("suspect|疑似", words.word("alert", kind), re.IGNORECASE)


def test_an_unknown_rule_falls_back_to_its_id(words: Words) -> None:
    assert words.word("rule", "SOMETHING-NEW") == "SOMETHING-NEW"
    assert words.text("never translated") == "never translated"


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "expected"),
    [
        (None, None, None, Language.ZH_CN),
        (None, None, "de-DE,fr;q=0.8", Language.ZH_CN),
        (None, None, "en-GB,zh;q=0.8", Language.EN),
        (None, None, "en;q=0.3, zh-Hans-CN;q=0.9", Language.ZH_CN),
        (None, None, "en;q=0", Language.ZH_CN),
        (None, None, "en;q=nan", Language.ZH_CN),
        (None, "en", "zh", Language.EN),
        ("zh", "en", "en", Language.ZH_CN),
        ("xx", "en", "zh", Language.EN),
    ],
)
def test_the_language_is_asked_for_remembered_or_accepted(
    query: str | None, cookie: str | None, accept: str | None, expected: Language
) -> None:
    assert choose(query, cookie, accept) is expected


@given(st.text(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_any_header_gives_a_language(accept: str, query: str, cookie: str) -> None:
    assert choose(query, cookie, accept) in Language
