"""The law's clocks: the board of all that run, the panel of one case, what people note by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import sql_of
from central.audit import record
from central.clock_work import ClockWork, clocks_of, is_open
from central.clocks import ClockState, Happening, LegalClock, Subject
from central.intake.alarm import FUTURE_US, read_time
from central.people.permissions import Permission
from central.reports.pace import Pace, entry_to_stop, legs_left
from central.store import intake as stored
from central.store.cases import CaseRow
from central.store.intake import NoticeRow
from central.web.access import needs
from central.web.cases import the_case
from central.web.intake import to_time
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from contract.clock import UnixMicros
from contract.codec import rfc3339

SHOWN_CASES = 400
SHOWN_NOTICES = 50
DESK_NOTICES = 5
PACE_DAYS = 30
TRANSFER_US = 24 * 3600 * 1_000_000
_MAX_ID = 2**63 - 1
BY_HAND = (
    Happening.SANCTIONED,
    Happening.SANCTION_LIFTED,
    Happening.FACES_REACHED,
    Happening.FACES_FILED,
)
"""What no order, alarm or message says by itself."""
GROUNDS = ("IDENTIFIED_BY_POLICE", "CRIMINAL_PENALTY")

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.CASES_READ)]
Officer = Annotated[Actor, needs(Permission.CASES_ACT)]
RowId = Annotated[int, Path(ge=1, le=_MAX_ID)]
Line = Annotated[str, Form(max_length=200)]


def clock_view(presenter: Presenter, clock: LegalClock, now: int) -> dict[str, Any]:
    """Return a clock as people see it."""
    words, state = presenter.words, clock.state(now)
    left_us = int(clock.due_at) - now
    return {
        "kind": clock.kind.value,
        "kind_text": words.word("clock", clock.kind.value),
        "of": clock.subject,
        "state": state.value,
        "state_text": words.word("clock_state", state.value),
        "is_open": is_open(clock, now),
        "is_overdue": state is ClockState.BREACHED,
        "is_term": clock.is_term,
        "started_text": presenter.moment(clock.started_at),
        "due_at": int(clock.due_at),
        "due_iso": rfc3339(clock.due_at),
        "due_text": presenter.moment(clock.due_at),
        "left_text": presenter.lasted(abs(left_us)) if is_open(clock, now) else "",
        "took_text": "" if clock.stopped_at is None else presenter.lasted(clock.elapsed_us(now)),
        "rule": clock.rule,
        "source": clock.source,
        "is_certain": clock.is_certain,
    }


def clock_panel(site: Site, presenter: Presenter, case: CaseRow) -> dict[str, Any]:
    """Return the clocks of one case: what is due next first, then what is over."""
    now = int(site.clock.wall())
    found = clocks_of(site.store.happenings([case.id]))
    views = [clock_view(presenter, clock, now) for clock in found.clocks]
    views.sort(key=lambda v: (not v["is_open"], v["due_at"]))
    return {
        "law_clocks": views,
        "law_problems": found.problems,
        "notices": [notice_view(presenter, row) for row in site.store.notices_of(case.id)],
        "by_hand": [h.value for h in BY_HAND],
        "grounds": GROUNDS,
    }


def notice_view(presenter: Presenter, row: NoticeRow) -> dict[str, Any]:
    """Return a notice as one sentence in the reader's language."""
    return {
        "id": row.id,
        "at_text": presenter.moment(row.at),
        "text": presenter.notice({"kind": row.kind, **row.data}),
        "href": f"/cases/{row.case_id}",
        "severity": row.data.get("severity", "high"),
        "told_to": row.told_to or "",
        "seen_by": row.seen_by or "",
        "seen_text": "" if row.seen_at is None else presenter.moment(row.seen_at),
    }


def notices_of(site: Site, presenter: Presenter, actor: Actor) -> list[dict[str, Any]]:
    """Return what the duty desk shows: the newest of what nobody has seen."""
    rows = site.store.unseen_notices(actor.areas, DESK_NOTICES)
    return [notice_view(presenter, row) for row in rows]


def _delayed_transfers(site: Site, presenter: Presenter, now: int) -> list[dict[str, Any]]:
    """Clocks of transfers that were asked for at a machine in the last day."""
    from central.store.intake import HappeningRow

    rows = [
        HappeningRow(
            case_id=0, happening=Happening.TRANSFER_ASKED.value,
            subject=f"{d.device} {d.visit}", at=d.decided_at, noted_by=d.device,
            noted_at=d.received_at,
        )
        for d in site.store.delayed_transfers(now - TRANSFER_US, SHOWN_CASES)
    ]  # fmt: skip
    return [clock_view(presenter, c, now) for c in clocks_of(rows).clocks if is_open(c, now)]


def _pace(presenter: Presenter, row: Pace, name: str, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": name,
        "number": row.number,
        "p50_text": presenter.lasted(row.p50_us),
        "p90_text": presenter.lasted(row.p90_us),
        "p95_text": presenter.lasted(row.p95_us),
        "late": row.late,
    }


def _paces(site: Site, presenter: Presenter, actor: Actor, now: int) -> dict[str, Any]:
    """How long steps took in the last thirty days."""
    first, words = now - PACE_DAYS * 24 * 3600 * 1_000_000, presenter.words
    stops = entry_to_stop(site.store, actor.areas, first, now + 1, now)
    left = legs_left(site.store, actor.areas, first, now + 1)
    return {
        "pace_days": PACE_DAYS,
        "stops": [_pace(presenter, row, presenter.area(row.of), row.of) for row in stops],
        "legs": [_pace(presenter, row, words.word("case_state", row.of), row.of) for row in left],
    }


@router.get("/clocks")
def board(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """All running clocks, what is overdue and due next first."""
    presenter, now = site.presenter(request), int(site.clock.wall())
    running = site.store.running_clocks(actor.areas, SHOWN_CASES)
    numbers = dict(running)
    rows: dict[int, list[Any]] = {case_id: [] for case_id in numbers}
    for row in site.store.happenings(list(numbers)):
        rows[row.case_id].append(row)
    shown = []
    for case_id, happened in rows.items():
        for clock in clocks_of(happened).clocks:
            if is_open(clock, now):
                view = clock_view(presenter, clock, now)
                shown.append({**view, "case": numbers[case_id], "href": f"/cases/{case_id}"})
    shown += [
        {**view, "case": view["of"], "href": ""}
        for view in _delayed_transfers(site, presenter, now)
    ]
    shown.sort(key=lambda view: view["due_at"])
    return site.page(
        request,
        "clocks.html",
        clocks=shown,
        overdue=sum(view["is_overdue"] for view in shown),
        is_cut=len(running) == SHOWN_CASES,
        notices=[
            notice_view(presenter, row)
            for row in site.store.unseen_notices(actor.areas, SHOWN_NOTICES)
        ],
        kinds=[subject.value for subject in Subject],
        now_text=presenter.moment(now),
        **_paces(site, presenter, actor, now),
    )


@router.post("/clocks/notices/{notice_id}/seen")
def seen(site: SiteOf, actor: Officer, notice_id: RowId) -> Response:
    """Say with one's name that a notice was seen."""
    with site.store.transaction() as tx:
        connection, now = sql_of(tx)._connection, int(site.clock.wall())
        notice = stored.read_notice(connection, notice_id)
        if notice is None or not actor.covers(notice.area):
            raise HTTPException(404, f"there is no notice {notice_id}")
        if stored.see_notice(connection, notice_id, actor.name, now):
            record(tx, now, actor, "notice.seen", str(notice_id))
    return RedirectResponse("/clocks", 303)


@router.post("/cases/{case_id}/happenings")
def note(
    site: SiteOf, actor: Officer, case_id: RowId, happening: Line, subject: Line,
    at: Line = "", ground: Line = "",
) -> Response:  # fmt: skip
    """Note what starts or stops a clock and no message says by itself."""
    case = the_case(site, actor, case_id)
    if happening not in {known.value for known in BY_HAND}:
        raise RuleError("this form does not know that happening")
    chosen, of = Happening(happening), " ".join(subject.split())[:80]
    if not of:
        raise RuleError("whose clock it is must be said")
    if chosen is Happening.SANCTIONED and ground not in GROUNDS:
        raise RuleError("a sanction has a ground")
    now = int(site.clock.wall())
    moment = UnixMicros(now) if not at else read_time(to_time(site, at))
    if moment is None or moment > now + FUTURE_US:
        raise RuleError("this is no time that has come")
    with site.store.transaction() as tx:
        work = ClockWork(sql_of(tx), now)
        detail = ground if chosen is Happening.SANCTIONED else ""
        work.note(case, chosen, moment, by=actor, subject=of, detail=detail)
    return RedirectResponse(f"/cases/{case_id}", 303)
