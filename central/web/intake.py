"""Alarms of 110: the form, the webhook, what an alarm's case shows, what is opened on record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from central.actor import Actor
from central.clocks import local
from central.intake import IntakeDesk, Outcome, Problem, Result
from central.intake.alarm import MAX_ALARMS
from central.intake.door import SEALED_KEY, AlarmDoor
from central.orders.sealed import Vault
from central.people.permissions import Permission
from central.store.cases import CaseRow
from central.store.intake import AlarmRefusal, AlarmRow
from central.web.access import needs
from central.web.present import Presenter
from central.web.problems import PROBLEMS
from central.web.site import Site, SiteOf

SCHEMA = "qianshao-intake/1"
SHOWN_ALARMS = 50
SHOWN_REFUSALS = 30
_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api", responses=PROBLEMS)
Reader = Annotated[Actor, needs(Permission.CASES_READ)]
Taker = Annotated[Actor, needs(Permission.INTAKE_TAKE)]
Opener = Annotated[Actor, needs(Permission.SEALED_OPEN)]
RowId = Annotated[int, Path(ge=1, le=_MAX_ID)]
Line = Annotated[str, Form(max_length=200)]
Text = Annotated[str, Form(max_length=2000)]


def desk_of(site: Site) -> IntakeDesk:
    """Return the desk that takes alarms and tells the open pages."""
    vault = Vault.at(site.settings.folder / SEALED_KEY)
    return IntakeDesk(site.store, site.clock, vault, site.hub.publish)


# -- the webhook ----------------------------------------------------------------------------------

_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["number", "outcome", "case", "is_entered", "problems"],
}
_ANSWER: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["schema", "results"],
                "properties": {
                    "schema": {"type": "string"},
                    "results": {"type": "array", "items": _RESULT},
                },
            }
        }
    }
}
_TIME = {"type": "string", "format": "date-time"}
_FEN = {"type": "integer", "minimum": 1}
_ACCOUNT: dict[str, Any] = {
    "type": "object",
    "required": ["number", "amount_fen", "transfer_at"],
    "properties": {
        "number": {"type": "string", "description": "8 to 32 digits"},
        "holder": {"type": "string", "maxLength": 100},
        "bank": {"type": "string", "maxLength": 100},
        "amount_fen": _FEN,
        "transfer_at": _TIME,
    },
    "additionalProperties": False,
}
_ALARM: dict[str, Any] = {
    "type": "object",
    "required": ["number", "area", "alarm_at", "amount_fen", "victim"],
    "properties": {
        "number": {"type": "string", "description": "of the alarm; the same again is the same"},
        "source": {"type": "string", "description": "who numbers it; else 110"},
        "area": {"type": "string", "pattern": "^[0-9]{6}$"},
        "alarm_at": _TIME,
        "amount_fen": _FEN,
        "victim": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "phone": {"type": "string"}},
            "additionalProperties": False,
        },
        "accounts": {"type": "array", "maxItems": 20, "items": _ACCOUNT},
        "brief": {"type": "string", "maxLength": 1000},
    },
    "additionalProperties": False,
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "description": "One alarm, or {alarms: [...]} with at most 200.",
                    "anyOf": [
                        _ALARM,
                        {
                            "type": "object",
                            "required": ["alarms"],
                            "properties": {
                                "alarms": {"type": "array", "maxItems": MAX_ALARMS, "items": _ALARM}
                            },
                        },
                    ],
                }
            }
        },
    }
}


@api.post(
    "/alarms",
    openapi_extra=_BODY,
    response_class=JSONResponse,
    responses={
        200: {"description": "All are known already, or none was sent.", **_ANSWER},
        201: {"description": "At least one case was opened.", **_ANSWER},
        409: {"description": "A known number came with other words.", **_ANSWER},
        422: {"description": "Nothing was taken; the fields are named.", **_ANSWER},
    },
)
async def take(request: Request, site: SiteOf, actor: Taker) -> Response:
    """Take alarms of 110; the same number again changes nothing and is answered alike."""
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON: {error!s:.120}") from None
    results = await run_in_threadpool(_take, site, actor, document)
    answer = {"schema": SCHEMA, "results": [result.as_json() for result in results]}
    return JSONResponse(answer, _status(results))


def _take(site: Site, actor: Actor, document: Any) -> list[Result]:
    is_batch = isinstance(document, Mapping) and "alarms" in document
    documents = document["alarms"] if is_batch else [document]
    if not isinstance(documents, list) or len(documents) > MAX_ALARMS:
        raise HTTPException(422, f"alarms is a list of at most {MAX_ALARMS}")
    return desk_of(site).take(actor, documents, "webhook")


def _status(results: list[Result]) -> int:
    outcomes = {result.outcome for result in results}
    if Outcome.OPENED in outcomes:
        return 201
    if Outcome.REFUSED not in outcomes:
        return 200
    is_differing = any(result.case_id is not None for result in results if result.problems)
    return 409 if is_differing else 422


@api.get("/intake/key")
def key(site: SiteOf, actor: Taker) -> dict[str, Any]:
    """Key to which alarms are sealed that come through the broker."""
    door = AlarmDoor.at(site.settings.folder, site.settings.alarm_senders)
    return {"schema": "qianshao-intake-key/1", "kem": "X25519", "public_key": door.public.hex()}


# -- the form -------------------------------------------------------------------------------------

_EMPTY = dict.fromkeys(
    ("number", "area", "alarm_at", "yuan", "name", "phone", "brief"), ""
) | dict.fromkeys(("account", "holder", "bank", "account_yuan", "transfer_at"), "")


@router.get("/intake")
def intake(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """The form, the latest alarms, and what was not taken."""
    return _page(request, site, actor, {**_EMPTY, "area": min(actor.areas, default="")}, ())


def _page(
    request: Request,
    site: Site,
    actor: Actor,
    given: Mapping[str, str],
    problems: tuple[Problem, ...],
    status: int = 200,
) -> HTMLResponse:
    presenter = site.presenter(request)
    refusals = [_refusal_view(presenter, row) for row in site.store.alarm_refusals(SHOWN_REFUSALS)]
    return site.page(
        request,
        "intake.html",
        status_code=status,
        given=given,
        problems=[_problem_text(presenter, p.field, p.wrong.value) for p in problems],
        alarms=[
            alarm_view(presenter, row)
            for row in site.store.latest_alarms(actor.areas, SHOWN_ALARMS)
        ],
        refusals=refusals,
    )


def _problem_text(presenter: Presenter, field: str, wrong: str) -> str:
    head, bracket, rest = field.partition("[")
    place, _, inner = rest.partition("].")
    name = f"account.{inner}" if inner else head
    label = presenter.words.word("alarm_field", name)
    if bracket:
        label = f"{label} {int(place.rstrip(']')) + 1}"
    return f"{label}: {presenter.words.word('alarm_wrong', wrong)} [{field}]"


def _refusal_view(presenter: Presenter, row: AlarmRefusal) -> dict[str, Any]:
    return {
        "at_text": presenter.moment(row.at),
        "via_text": presenter.words.word("via", row.via),
        "sender": row.sender,
        "number": row.number or "–",
        "problems": [_problem_text(presenter, p["field"], p["wrong"]) for p in row.problems],
    }


def alarm_view(presenter: Presenter, row: AlarmRow) -> dict[str, Any]:
    """Return an alarm as people see it: masked."""
    return {
        "id": row.id,
        "number": row.number,
        "source": row.source,
        "case_href": f"/cases/{row.case_id}",
        "via_text": presenter.words.word("via", row.via),
        "area": row.area,
        "alarm_text": presenter.moment(row.alarm_at),
        "received_text": presenter.moment(row.received_at),
        "amount_text": presenter.yuan(row.amount_fen),
        "victim": row.victim,
        "brief": row.brief,
        "taken_by": row.taken_by,
    }


def to_fen(text: str) -> int | None:
    """Read yuan with at most two decimals, exactly; None for anything else."""
    plain = text.strip().replace(",", "").replace("¥", "")
    whole, _, cents = plain.partition(".")
    is_number = whole.isascii() and whole.isdigit() and len(whole) <= 12
    if not is_number or len(cents) > 2 or (cents and not (cents.isascii() and cents.isdigit())):
        return None
    return int(whole) * 100 + int(cents.ljust(2, "0") or 0)


def to_time(site: Site, text: str) -> str:
    """Read the time of a form (local, without an offset) as RFC 3339; else leave it as it is."""
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    if moment.tzinfo is None:
        offset = dt.timedelta(minutes=site.settings.utc_offset_minutes)
        moment = moment.replace(tzinfo=dt.timezone(offset))
    return moment.isoformat()


def _account_of(site: Site, given: Mapping[str, str]) -> dict[str, Any]:
    return {
        "number": given["account"],
        "holder": given["holder"],
        "bank": given["bank"],
        "amount_fen": to_fen(given["account_yuan"]),
        "transfer_at": to_time(site, given["transfer_at"]),
    }


@router.post("/intake")
def take_form(
    request: Request, site: SiteOf, actor: Taker, number: Line = "", area: Line = "",
    alarm_at: Line = "", yuan: Line = "", name: Line = "", phone: Line = "", brief: Text = "",
    account: Line = "", holder: Line = "", bank: Line = "", account_yuan: Line = "",
    transfer_at: Line = "",
) -> Response:  # fmt: skip
    """Take one alarm from a telephone call; what is wrong with it is said beside the form."""
    given = {
        "number": number, "area": area, "alarm_at": alarm_at, "yuan": yuan, "name": name,
        "phone": phone, "brief": brief, "account": account, "holder": holder, "bank": bank,
        "account_yuan": account_yuan or yuan, "transfer_at": transfer_at or alarm_at,
    }  # fmt: skip
    document: dict[str, Any] = {
        "number": number.strip(),
        "area": area.strip(),
        "alarm_at": to_time(site, alarm_at),
        "amount_fen": to_fen(yuan) if yuan else None,
        "victim": {"name": name, "phone": phone.strip()},
        "brief": brief,
    }
    if account.strip():
        document["accounts"] = [_account_of(site, given)]
    result = desk_of(site).take(actor, [document], "form")[0]
    if result.case_id is None:
        return _page(request, site, actor, given, result.problems, 422)
    if result.problems:
        status = 409 if result.outcome is Outcome.REFUSED else 200
        return _page(request, site, actor, given, result.problems, status)
    return RedirectResponse(f"/cases/{result.case_id}", 303)


@router.post("/intake/{alarm_id}/accounts")
def add_account(
    request: Request, site: SiteOf, actor: Taker, alarm_id: RowId, account: Line = "",
    holder: Line = "", bank: Line = "", account_yuan: Line = "", transfer_at: Line = "",
) -> Response:  # fmt: skip
    """Enter a suspect account: name, number and time end the thirty minutes."""
    given = {
        **_EMPTY, "account": account, "holder": holder, "bank": bank,
        "account_yuan": account_yuan, "transfer_at": transfer_at,
    }  # fmt: skip
    document = _account_of(site, given)
    alarm, problems = desk_of(site).add_account(actor, alarm_id, document)
    if problems:
        presenter = site.presenter(request)
        return site.page(
            request,
            "told.html",
            status_code=422,
            headline=presenter.words.word("told", "rule"),
            sentence="",
            detail="; ".join(_problem_text(presenter, p.field, p.wrong.value) for p in problems),
            to=f"/cases/{alarm.case_id}",
        )
    return RedirectResponse(f"/cases/{alarm.case_id}", 303)


@router.post("/intake/{alarm_id}/open")
def open_sealed(
    request: Request, site: SiteOf, actor: Opener, alarm_id: RowId, why: Line = ""
) -> HTMLResponse:
    """Show an alarm's full names and numbers once; who did and why is in the audit log."""
    victim, accounts = desk_of(site).open_sealed(actor, alarm_id, why)
    alarm = site.store.alarm(alarm_id)
    assert alarm is not None
    case = site.store.case(alarm.case_id)
    presenter = site.presenter(request)
    rows = [a for a in site.store.alarm_accounts(alarm.case_id) if a.alarm_id == alarm_id]
    return site.page(
        request,
        "sealed.html",
        alarm=alarm_view(presenter, alarm),
        victim=victim,
        accounts=[
            {
                "number": sealed.number,
                "name": sealed.name,
                "amount": f"{row.amount_fen // 100}.{row.amount_fen % 100:02}",
                "transfer_at": local(row.transfer_at).strftime("%Y-%m-%d %H:%M:%S"),
            }
            for sealed, row in zip(accounts, rows, strict=False)
        ],
        case_number="" if case is None else case.number,
    )


def alarm_panels(site: Site, presenter: Presenter, case: CaseRow) -> dict[str, Any]:
    """Return what an alarm's case shows besides: the alarms and the suspect accounts."""
    alarms = site.store.alarms_of(case.id)
    accounts = site.store.alarm_accounts(case.id) if alarms else []
    return {
        "alarms_110": [alarm_view(presenter, row) for row in alarms],
        "alarm_accounts": [
            {
                "number": f"**** {row.last4}",
                "holder": row.holder or "–",
                "bank": row.bank or "–",
                "amount_text": presenter.yuan(row.amount_fen),
                "transfer_text": presenter.moment(row.transfer_at),
                "added_by": row.added_by,
            }
            for row in accounts
        ],
    }
