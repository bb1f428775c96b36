"""The pages of cases: the list, one case, what is done with it. Plain forms."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.alert_work import Seen
from central.case_desk import PART_KINDS, CaseDesk
from central.case_states import (
    ENDED,
    OPEN,
    REWARD_MAX_FEN,
    REWARD_MIN_FEN,
    CaseAction,
    CaseReason,
    CaseState,
    legs,
)
from central.case_transfer import problem_of
from central.case_work import SeenCase
from central.intake.desk import KIND as ALARM_CASE
from central.people.permissions import Permission
from central.store.cases import CaseFilter, CaseRow
from central.views import alert_json, time_or_none
from central.web.access import needs
from central.web.intake import alarm_panels
from central.web.places import dispatch_view, place_of
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from contract.keys import public_pem

PAGE_ROWS = 50
_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.CASES_READ)]
Officer = Annotated[Actor, needs(Permission.CASES_ACT)]
Verifier = Annotated[Actor, needs(Permission.CASES_VERIFY)]
Unit = Annotated[Actor, needs(Permission.CASES_ANSWER)]
AskedRole = Annotated[Literal["carrier", "regulator"], Form()]
"""Roles that may answer: see the permission above."""
Notifier = Annotated[Actor, needs(Permission.CASES_NOTIFY)]
Closer = Annotated[Actor, needs(Permission.CASES_CLOSE)]
RowId = Annotated[int, Path(ge=1, le=_MAX_ID)]
Version = Annotated[int, Form(ge=0, le=_MAX_ID)]
Text = Annotated[str, Form(max_length=2000)]
Line = Annotated[str, Form(max_length=200)]
Area = Annotated[str, Form(pattern="^[0-9]{6}$")]
Filter = Annotated[str, Query(max_length=80)]

ACTS = frozenset({CaseAction.NOTE, CaseAction.STRIKE, CaseAction.SLEEP, CaseAction.WAKE})
ENDS = frozenset({CaseAction.CLOSE, CaseAction.DISMISS})
LEAD_KINDS = ("GOIP_DEN", "BLACK_BROADCAST", "FAKE_BTS")
GROUPS: dict[str, tuple[CaseState, ...]] = {"open": OPEN, "ended": ENDED, "all": ()}


def desk_of(site: Site) -> CaseDesk:
    """Return the desk that changes cases and tells the open pages."""
    return CaseDesk(site.store, site.clock, site.hub.publish, signer=site.audit.signer)


def to_case(case: CaseRow) -> RedirectResponse:
    """Go back to the page of a case."""
    return RedirectResponse(f"/cases/{case.id}", 303)


@router.get("/cases")
def cases(
    request: Request, site: SiteOf, actor: Reader, group: Filter = "open", owner: Filter = "",
    text: Filter = "", after: Annotated[str, Query(max_length=50)] = "",
) -> HTMLResponse:  # fmt: skip
    """Cases with filters, one page at a time, the one that changed last first."""
    group = group if group in GROUPS else "open"
    wanted = CaseFilter(
        areas=actor.areas,
        states=tuple(state.value for state in GROUPS[group]),
        owner=owner or None,
        text=text.strip() or None,
    )
    at, sign, last = after.partition("-")
    is_place = sign and all(n.isascii() and n.isdigit() and len(n) < 19 for n in (at, last))
    rows, following = site.store.case_page(
        wanted, PAGE_ROWS, (int(at), int(last)) if is_place else None
    )
    asked = {"group": group, "owner": owner, "text": text}
    link = None
    if following is not None:
        link = "?" + urlencode({**asked, "after": f"{following[0]}-{following[1]}"})
    presenter = site.presenter(request)
    return site.page(
        request,
        "cases.html",
        cases=[case_view(presenter, row) for row in rows],
        counts=sorted(site.store.case_counts(actor.areas).items()),
        following=link,
        asked=asked,
        groups=list(GROUPS),
        lead_kinds=LEAD_KINDS,
        area=min(actor.areas, default=""),
    )


@router.post("/cases")
def open_lead(
    site: SiteOf, actor: Officer, kind: Line, area: Area, about: Line, note: Text = "",
    lat: Annotated[str, Form(max_length=20)] = "", lon: Annotated[str, Form(max_length=20)] = "",
) -> Response:  # fmt: skip
    """Open a case from a lead."""
    if kind not in LEAD_KINDS:
        raise RuleError("this form does not know that kind")
    case = desk_of(site).open_lead(actor, kind, area, {"about": about}, note, place_of(lat, lon))
    return to_case(case)


def case_view(presenter: Presenter, row: CaseRow) -> dict[str, Any]:
    """Return a case for a list or a page."""
    words = presenter.words
    return {
        "id": row.id,
        "number": row.number,
        "href": f"/cases/{row.id}",
        "kind_text": words.word("case_kind", row.kind),
        "is_of_radio": row.kind != ALARM_CASE,
        "severity": row.severity.value,
        "severity_text": words.word("severity", row.severity.value),
        "state": row.shown_state,
        "state_text": words.word("case_state", row.shown_state),
        "reason_text": "" if row.reason_code is None else words.word("code", row.reason_code),
        "area": row.area,
        "owner": row.owner,
        "version": row.version,
        "subject": presenter.pairs(row.subject),
        "place": "" if row.lat is None else f"{row.lat:.5f}, {row.lon:.5f}",
        "opened_text": presenter.time(time_or_none(row.opened_at)),
        "updated_text": presenter.time(time_or_none(row.updated_at)),
        "transfer_to": row.transfer_to or "",
        "progress": row.state,
        "is_open": row.ended_at is None,
    }


def the_case(site: Site, actor: Actor, case_id: int) -> CaseRow:
    """Return a case of the reader's areas; what lies elsewhere is not there."""
    row = site.store.case(case_id)
    if row is None or not actor.covers(row.area):
        raise HTTPException(404, f"there is no case {case_id}")
    return row


@router.get("/cases/{case_id}")
def case(request: Request, site: SiteOf, actor: Reader, case_id: RowId) -> HTMLResponse:
    """One case: its clocks, its people and things, its questions, everything that was done."""
    row = the_case(site, actor, case_id)
    presenter = site.presenter(request)
    words, now = presenter.words, int(site.clock.wall())
    events = site.store.case_events(row.id)
    clocks = [
        {
            "state_text": words.word("case_state", leg.state.value),
            "lasted_text": presenter.lasted(leg.lasted_us(now)),
            "target_text": presenter.lasted(leg.target_us),
            "is_over": leg.is_over(now),
            "is_running": leg.ended_at is None and row.ended_at is None,
        }
        for leg in legs(row.first_seen, [(e.at, CaseState(e.to_state)) for e in events])
    ]
    from central.web.clocks import clock_panel

    return site.page(
        request,
        "case.html",
        case=case_view(presenter, row),
        transfer=_transfer(site, row),
        clocks=clocks,
        **alarm_panels(site, presenter, row),
        **clock_panel(site, presenter, row),
        alerts=[presenter.alert(alert_json(one)) for one in site.store.case_alerts(row.id)],
        parts=site.store.case_parts(row.id),
        part_kinds=PART_KINDS,
        inquiries=site.store.inquiries(row.id),
        dispatches=[dispatch_view(presenter, one) for one in site.store.dispatches(case_id=row.id)],
        tips=site.store.tip_offs(actor.areas, row.id),
        reasons=[code.value for code in CaseReason],
        rewards=(REWARD_MIN_FEN // 100, REWARD_MAX_FEN // 100),
        history=[
            {
                "at_text": presenter.time(time_or_none(event.at)),
                "actor": event.actor,
                "action_text": words.word("case_action", event.action),
                "state_text": words.word("case_state", event.to_state),
                "reason_text": (
                    "" if event.reason_code is None else words.word("code", event.reason_code)
                ),
                "note": event.note,
            }
            for event in events
        ],
    )


@router.post("/cases/from-alert/{alert_id}")
def open_from_alert(
    site: SiteOf, actor: Officer, alert_id: RowId, version: Version, note: Text = ""
) -> Response:
    """Open a case about an alert."""
    return to_case(desk_of(site).open_from_alert(actor, Seen(alert_id, version), note))


@router.post("/cases/{case_id}/act")
def act(
    site: SiteOf, actor: Officer, case_id: RowId, version: Version, action: Line, note: Text = ""
) -> Response:
    """Note, report the strike, or say that the emitter went off the air or is back."""
    chosen = _one_of(action, ACTS)
    return to_case(desk_of(site).act(actor, SeenCase(case_id, version), chosen, note=note))


def _one_of(action: str, allowed: frozenset[CaseAction]) -> CaseAction:
    if action not in {known.value for known in allowed}:
        raise RuleError("this form does not know that action")
    return CaseAction(action)


@router.post("/cases/{case_id}/owner")
def own(site: SiteOf, actor: Officer, case_id: RowId, version: Version, owner: Line) -> Response:
    """Give the case another owner."""
    return to_case(desk_of(site).own(actor, SeenCase(case_id, version), owner))


@router.post("/cases/{case_id}/link")
def link(
    site: SiteOf, actor: Officer, case_id: RowId, version: Version,
    alert_id: Annotated[int, Form(ge=1, le=_MAX_ID)],
) -> Response:  # fmt: skip
    """Let a further alert belong to the case, as it stands now."""
    alert = site.store.alert(alert_id)
    seen = Seen(alert_id, 0 if alert is None else alert.version)
    return to_case(desk_of(site).link(actor, SeenCase(case_id, version), seen))


@router.post("/cases/{case_id}/parts")
def add_part(
    site: SiteOf, actor: Officer, case_id: RowId, version: Version, kind: Line, text: Line,
    detail: Line = "",
) -> Response:  # fmt: skip
    """Add a member, a task or a seized thing."""
    data = {"detail": detail} if detail else {}
    return to_case(desk_of(site).add_part(actor, SeenCase(case_id, version), kind, text, data))


@router.post("/cases/{case_id}/parts/{part_id}/end")
def end_part(
    site: SiteOf, actor: Officer, case_id: RowId, part_id: RowId, version: Version,
    outcome: Text = "",
) -> Response:  # fmt: skip
    """End a part; it stays listed."""
    return to_case(desk_of(site).end_part(actor, SeenCase(case_id, version), part_id, outcome))


@router.post("/cases/{case_id}/ask")
def ask(
    site: SiteOf, actor: Verifier, case_id: RowId, version: Version, unit: Line,
    question: Text = "", role: AskedRole = "carrier",
) -> Response:  # fmt: skip
    """Ask an operator or regulator whether the emitter is theirs."""
    desk_of(site).ask(actor, SeenCase(case_id, version), unit, question, Role(role))
    return RedirectResponse(f"/cases/{case_id}", 303)


@router.post("/cases/{case_id}/answers/{inquiry_id}")
def write_down_answer(
    site: SiteOf, actor: Verifier, case_id: RowId, inquiry_id: RowId, answer: Line, person: Line,
    note: Text = "",
) -> Response:  # fmt: skip
    """Write down what a unit's person said by telephone."""
    return to_case(
        desk_of(site).answer(actor, inquiry_id, is_ours=is_ours(answer), person=person, note=note)
    )


def is_ours(answer: str) -> bool:
    """Read the answer of a form; raises RuleError."""
    if answer not in {"OURS", "NOT_OURS"}:
        raise RuleError("an answer is OURS or NOT_OURS")
    return answer == "OURS"


@router.post("/cases/{case_id}/clear")
def clear(
    site: SiteOf, actor: Verifier, case_id: RowId, version: Version, reason: Line, note: Text = ""
) -> Response:
    """Say that it was nothing, before the police were notified."""
    seen = SeenCase(case_id, version)
    return to_case(desk_of(site).act(actor, seen, CaseAction.CLEAR, reason=reason, note=note))


@router.post("/cases/{case_id}/notify")
def notify(
    site: SiteOf, actor: Notifier, case_id: RowId, version: Version, note: Text = ""
) -> Response:
    """Confirm with one's name: the police are notified."""
    return to_case(
        desk_of(site).act(actor, SeenCase(case_id, version), CaseAction.NOTIFY, note=note)
    )


@router.post("/cases/{case_id}/end")
def end(
    site: SiteOf, actor: Closer, case_id: RowId, version: Version, action: Line, reason: Line = "",
    note: Text = "",
) -> Response:  # fmt: skip
    """Close a solved case, or dismiss one that was nothing after all."""
    chosen = _one_of(action, ENDS)
    seen = SeenCase(case_id, version)
    return to_case(desk_of(site).act(actor, seen, chosen, reason=reason, note=note))


@router.post("/cases/{case_id}/offer")
def offer(site: SiteOf, actor: Closer, case_id: RowId, version: Version, unit: Line) -> Response:
    """Ask another unit to take the case over."""
    return to_case(desk_of(site).offer(actor, SeenCase(case_id, version), unit))


@router.post("/cases/{case_id}/accept")
def accept(
    site: SiteOf, actor: Notifier, case_id: RowId, version: Version, unit: Line, note: Text = ""
) -> Response:
    """Accept a case for the unit that was asked, naming it; a second name."""
    return to_case(desk_of(site).transfer(actor, SeenCase(case_id, version), unit, note))


@router.get("/cases/{case_id}/transfer")
def transfer(site: SiteOf, actor: Reader, case_id: RowId) -> Response:
    """Return the signed document of a transfer, to be kept by the unit that took the case."""
    row = the_case(site, actor, case_id)
    signed = _transfer(site, row)
    if signed is None:
        raise HTTPException(404, f"case {row.number} was not handed over")
    return JSONResponse(
        signed, headers={"content-disposition": f'attachment; filename="{row.number}.json"'}
    )


def _transfer(site: Site, row: CaseRow) -> dict[str, Any] | None:
    """Return what the history holds of a transfer, with whether it verifies now."""
    events = site.store.case_events(row.id)
    found = next((event.data for event in events if "transfer" in event.data), None)
    signer = site.audit.signer
    if found is None or signer is None:
        return None
    problem = problem_of(found, events, signer)
    return {**found, "public_pem": public_pem(signer.public), "problem": problem}
