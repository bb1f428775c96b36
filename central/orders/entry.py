"""What an officer types into the form of an order, read into what is applied for. Pure.

Numbers come with spaces, in full width, with separators and signs, often as a whole block of lines
that was pasted. All mistakes are told at once, each by its field.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from central.clocks import micros
from central.clocks.calendar import CHINA
from central.orders.kinds import KINDS, Hold, OrderKind
from central.orders.wrongly_held import Ground
from contract.clock import UnixMicros
from contract.orders import MAX_COMPARING

FIELDS = (
    *("kind", "target", "number", "name", "owner", "amount", "transfer_at", "limit", "case"),
    *("area", "application_id", "is_urgent", "parent", "tier", "until", "ground", "paste"),
    *("machines", "is_whole_area"),
)
"""Names of the form's fields."""
MAX_TIER = 9
MAX_FEN = 10**13
_LABELS = {
    "number": (
        "账号",
        "卡号",
        "止付账号",
        "止付账卡号",
        "冻结账号",
        "account",
        "card",
        "accountnumber",
    ),
    "name": ("户名", "姓名", "账户名", "止付账户名", "name", "accountname"),
    "amount": ("金额", "转出金额", "汇款金额", "amount", "transferamount"),
    "transfer_at": ("时间", "交易时间", "转出时间", "汇款时间", "time", "transfertime"),
    "case": ("案件", "案件编号", "警情编号", "case", "casenumber"),
    "application_id": ("业务申请编号", "申请编号", "applicationid", "application"),
    "parent": ("转出账号", "上级账号", "payer", "transferoutaccountnumber"),
    "owner": ("证件号", "身份证号", "证件号码", "id", "idnumber"),
}
_FIELD_OF = {label: field for field, labels in _LABELS.items() for label in labels}
_TIMES = (
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d%H%M%S"),
    *(
        "%Y年%m月%d日 %H:%M:%S",
        "%Y年%m月%d日 %H:%M",
        "%Y年%m月%d日%H时%M分",
        "%Y年%m月%d日%H时%M分%S秒",
    ),
)


MISTAKES = (
    *("NUMBER", "NAME", "AMOUNT", "TIME", "TIME_FUTURE", "LIMIT", "CASE", "AREA", "PARENT"),
    *("TIER", "UNTIL", "GROUND", "KIND", "OWNER", "TOO_LONG", "MACHINES"),
)
"""Words of the catalogues (``mistake.WORD``): what is wrong with a field."""


class EntryError(ValueError):
    """Fields that cannot be taken, each with its mistake; nothing typed is repeated."""

    def __init__(self, mistakes: Mapping[str, str]) -> None:
        super().__init__(", ".join(f"{field}: {word}" for field, word in mistakes.items()))
        self.mistakes = dict(mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A form that can be taken."""

    kind: OrderKind
    number: str
    """Empty where the order is on a person, or names no account."""
    name: str
    owner: str
    """Identity number of the person; empty where the order is on one account."""
    amount_fen: int
    transfer_at: UnixMicros
    limit_fen: int | None
    case: str
    area: str
    application_id: str
    is_urgent: bool
    parent: str
    tier: int
    until: UnixMicros | None
    ground: str
    machines: tuple[str, ...] = ()
    """Machines that compare visits, by name."""
    is_whole_area: bool = False
    """All machines of the area compare, besides those."""


def plain(text: str) -> str:
    """Return a typed text with full-width forms made plain and the ends cut."""
    return unicodedata.normalize("NFKC", text).strip()


def plain_number(text: str) -> str:
    """Return a card or account number without what people put between its digits."""
    return re.sub(r"[\s\-–—_.,'·*]+", "", plain(text))


def read_paste(text: str) -> dict[str, str]:
    """Return fields of lines such as ``户名：张三``, in any order; what is not known is left."""
    found: dict[str, str] = {}
    for line in re.split(r"[\n;；]", text[:5000]):
        label, sign, value = unicodedata.normalize("NFKC", line).partition(":")
        field = _FIELD_OF.get(re.sub(r"[\s_()（）]+", "", label).lower())
        if sign and field is not None and value.strip():
            found.setdefault(field, value.strip())
    return found


def fill(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the form with what was pasted in the fields that were left empty."""
    pasted = read_paste(fields.get("paste", ""))
    return {name: fields.get(name, "").strip() or pasted.get(name, "") for name in FIELDS}


def read_entry(fields: Mapping[str, str], now: UnixMicros | int) -> Entry:
    """Read a form; raises EntryError with every field that is wrong."""
    typed = fill(fields)
    wrong: dict[str, str] = {}
    kind = _kind(typed["kind"], wrong)
    rule = KINDS[kind]
    is_on_person = typed["target"] == "person"
    needs_account = rule.begins not in {None, Hold.LINK} or rule.ends not in {None, Hold.LINK}
    number = plain_number(typed["number"])
    owner = plain(typed["owner"]).upper()
    if is_on_person:
        number = ""
        if not re.fullmatch(r"[0-9A-Z]{5,20}", owner):
            wrong["owner"] = "OWNER"
    else:
        owner = ""
        if (needs_account or number) and not _is_number(number):
            wrong["number"] = "NUMBER"
    name = plain(typed["name"])
    if (rule.is_matched or is_on_person) and not name:
        wrong["name"] = "NAME"
    amount = _yuan("amount", "AMOUNT", typed, wrong, is_needed=rule.is_matched)
    limit = _yuan("limit", "LIMIT", typed, wrong) if kind in _FREEZES else None
    transfer_at = _moment("transfer_at", typed, wrong, is_needed=rule.is_matched)
    if transfer_at is not None and transfer_at > now:
        wrong["transfer_at"] = "TIME_FUTURE"
    until = _moment("until", typed, wrong) if rule.begins is not None else None
    if (until is None and _needs_end(kind)) or (until is not None and until <= now):
        wrong["until"] = "UNTIL"
    parent = plain_number(typed["parent"])
    if parent and not _is_number(parent):
        wrong["parent"] = "PARENT"
    tier = plain(typed["tier"]) or "1"
    if not (tier.isascii() and tier.isdigit() and 1 <= int(tier) <= MAX_TIER):
        wrong["tier"], tier = "TIER", "1"
    case, area = plain(typed["case"]), plain(typed["area"])
    if not 1 <= len(case) <= 60:
        wrong["case"] = "CASE"
    if not re.fullmatch(r"[0-9]{6}", area):
        wrong["area"] = "AREA"
    machines, is_whole_area = _machines(typed, kind, wrong)
    ground = typed["ground"]
    if rule.ends is not None and ground not in set(Ground):
        wrong["ground"] = "GROUND"
    application_id = plain(typed["application_id"])
    wrong |= {
        field: "TOO_LONG"
        for field, text in (("name", name), ("application_id", application_id))
        if len(text) > 60
    }
    if wrong:
        raise EntryError(wrong)
    return Entry(
        kind=kind, number=number, name=name, owner=owner, amount_fen=amount or 0,
        transfer_at=transfer_at or UnixMicros(0), limit_fen=limit, case=case, area=area,
        application_id=application_id, is_urgent=bool(typed["is_urgent"]), parent=parent,
        tier=int(tier), until=until, ground=ground, machines=machines,
        is_whole_area=is_whole_area,
    )  # fmt: skip


_FREEZES = frozenset({OrderKind.FREEZE, OrderKind.EXTEND_FREEZE})


def _machines(
    typed: Mapping[str, str], kind: OrderKind, wrong: dict[str, str]
) -> tuple[tuple[str, ...], bool]:
    """Names of machines between spaces, commas or lines, each once; only a link has any."""
    if kind is not OrderKind.CROSS_ATM_LINK:
        return (), False
    text = plain(typed["machines"]).replace("、", ",")
    names = tuple(dict.fromkeys(name for name in re.split(r"[\s,;]+", text) if name))
    is_whole_area = bool(typed["is_whole_area"])
    if len(names) > MAX_COMPARING or not (names or is_whole_area):
        wrong["machines"] = "MACHINES"
    return names, is_whole_area


def _needs_end(kind: OrderKind) -> bool:
    return KINDS[kind].begins is not None and KINDS[kind].term is None


def _kind(text: str, wrong: dict[str, str]) -> OrderKind:
    try:
        return OrderKind(text)
    except ValueError:
        wrong["kind"] = "KIND"
        return OrderKind.STOP_PAYMENT


def _is_number(number: str) -> bool:
    return number.isascii() and number.isdigit() and 12 <= len(number) <= 19


def _yuan(
    field: str,
    word: str,
    typed: Mapping[str, str],
    wrong: dict[str, str],
    *,
    is_needed: bool = False,
) -> int | None:
    """Yuan with at most two places, as fen."""
    text = re.sub(r"[\s,¥元整]|CNY|RMB", "", plain(typed[field]))
    if not text:
        if is_needed:
            wrong[field] = word
        return None
    try:
        fen = Decimal(text) * 100
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", text) and 0 < fen <= MAX_FEN:
            return int(fen)
    except InvalidOperation:
        pass
    wrong[field] = word
    return None


def _moment(
    field: str, typed: Mapping[str, str], wrong: dict[str, str], *, is_needed: bool = False
) -> UnixMicros | None:
    """A time of day in China, in one of the forms that people and the platform write."""
    text = re.sub(r"\s+", " ", plain(typed[field]).replace("/", "-").replace("T", " "))
    if not text and not is_needed:
        return None
    for form in _TIMES:
        try:
            return micros(dt.datetime.strptime(text, form).replace(tzinfo=CHINA))
        except ValueError:
            continue
    wrong[field] = "TIME" if field != "until" else "UNTIL"
    return None
