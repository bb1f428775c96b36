"""Refunds: a worked preview, a proposal, a second name, the notice, the bank's three days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.exports import Row
from central.intake.alarm import hide_numbers, read_time
from central.people.permissions import Permission
from central.refund_desk import MAX_CLAIMS, RefundDesk, Step, worked
from central.refunds import Claim, Method, refund
from central.store.refunds import RefundRow
from central.views import time_or_none
from central.web.access import needs
from central.web.cases import the_case
from central.web.exports import FILE, file_answer, noted
from central.web.exports import Form as FileForm
from central.web.intake import to_fen, to_time
from central.web.present import Presenter
from central.web.problems import PROBLEMS
from central.web.site import Site, SiteOf

_MAX_ID = 2**63 - 1
router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api", responses=PROBLEMS)
Reader = Annotated[Actor, needs(Permission.CASES_READ)]
Proposer = Annotated[Actor, needs(Permission.REFUNDS_PROPOSE)]
Decider = Annotated[Actor, needs(Permission.REFUNDS_DECIDE)]
RowId = Annotated[int, Path(ge=1, le=_MAX_ID)]
Version = Annotated[int, Form(ge=0, le=_MAX_ID)]
Line = Annotated[str, Form(max_length=200)]
Claims = Annotated[str, Form(max_length=60_000)]


def desk_of(site: Site) -> RefundDesk:
    """Return the desk that changes refunds."""
    return RefundDesk(site.store, site.clock)


def read_claims(site: Site, text: str) -> tuple[list[Claim], list[tuple[int, str]]]:
    """Read lines ``victim; yuan; time``; returns the claims, and (line, what is wrong)."""
    claims, wrong = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.replace("；", ";").split(";")]
        if len(parts) != 3 or not parts[0]:
            wrong.append((number, "three_parts"))
            continue
        fen, at = to_fen(parts[1]), read_time(to_time(site, parts[2]))
        if not fen:
            wrong.append((number, "no_amount"))
        elif at is None:
            wrong.append((number, "no_time"))
        else:
            claims.append(Claim(hide_numbers(parts[0])[:80], fen, at))
    if len(claims) > MAX_CLAIMS:
        wrong.append((MAX_CLAIMS + 1, "too_many"))
    return claims, wrong


def _view(presenter: Presenter, row: RefundRow, number: str, now: int) -> dict[str, Any]:
    words = presenter.words
    times = {
        name: "" if (at := getattr(row, f"{name}_at")) is None else presenter.moment(at)
        for name in ("proposed", "approved", "decided", "done")
    }
    return {
        "id": row.id,
        "case": number,
        "case_href": f"/cases/{row.case_id}/refunds",
        "account": row.account,
        "held_text": presenter.yuan(row.held_fen),
        "left_text": presenter.yuan(row.left_fen),
        "method_text": words.word("refund_method", row.method),
        "state": row.state,
        "state_text": words.word("refund_state", row.state),
        "shares": [(victim, presenter.yuan(fen)) for victim, fen in row.shares],
        "sum_text": presenter.yuan(sum(fen for _, fen in row.shares)),
        "times": times,
        "names": {
            "proposed": row.proposed_by,
            "approved": row.approved_by or "",
            "decided": row.decided_by or "",
            "done": row.done_by or "",
        },
        "notice_text": "" if row.notice_until is None else presenter.moment(row.notice_until),
        "is_notice_running": row.notice_until is not None and now < row.notice_until,
        "note": row.note,
        "version": row.version,
    }


@router.get("/refunds")
def refunds(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Refunds of one's areas."""
    presenter = site.presenter(request)
    now = int(site.clock.wall())
    rows = [_view(presenter, row, number, now) for row, number in site.store.refunds(actor.areas)]
    return site.page(request, "refunds.html", refunds=rows, case=None)


@router.get("/cases/{case_id}/refunds")
def of_case(request: Request, site: SiteOf, actor: Reader, case_id: RowId) -> HTMLResponse:
    """Refunds of a case, and the form: what each alarm of it claims stands there already."""
    row = the_case(site, actor, case_id)
    presenter = site.presenter(request)
    claims = "\n".join(
        f"{alarm.number} {alarm.victim}; {alarm.amount_fen // 100}.{alarm.amount_fen % 100:02}; "
        f"{presenter.moment(alarm.alarm_at)}"
        for alarm in site.store.alarms_of(row.id)
    )
    accounts = site.store.alarm_accounts(row.id)
    account = f"**** {accounts[0].last4}" if accounts else ""
    given = {"account": account, "yuan": "", "claims": claims, "traced": "", "note": ""}
    return _case_page(request, site, actor, case_id, given)


def _case_page(
    request: Request, site: Site, actor: Actor, case_id: int, given: dict[str, str],
    *, problems: list[str] | None = None, preview: dict[str, Any] | None = None, status: int = 200,
) -> HTMLResponse:  # fmt: skip
    row = the_case(site, actor, case_id)
    presenter = site.presenter(request)
    now = int(site.clock.wall())
    found = [
        _view(presenter, r, number, now) for r, number in site.store.refunds(actor.areas, row.id)
    ]
    return site.page(
        request,
        "refunds.html",
        status_code=status,
        case={"id": row.id, "number": row.number, "is_open": row.ended_at is None},
        refunds=found,
        given=given,
        problems=problems or [],
        preview=preview,
    )


@router.post("/cases/{case_id}/refunds/preview")
def preview(
    request: Request, site: SiteOf, actor: Proposer, case_id: RowId, account: Line = "",
    yuan: Line = "", claims: Claims = "", traced: Line = "", note: Line = "",
) -> HTMLResponse:  # fmt: skip
    """Show how the shares come about, to the fen; nothing is kept."""
    presenter = site.presenter(request)
    words = presenter.words
    given = {
        "account": account, "yuan": yuan, "claims": claims, "traced": traced, "note": note,
    }  # fmt: skip
    held, (rows, wrong) = to_fen(yuan), read_claims(site, claims)
    problems = [
        words.text("line {n}:").replace("{n}", str(n)) + " " + words.word("claim_wrong", what)
        for n, what in wrong
    ]
    if not held:
        problems.append(words.word("claim_wrong", "no_held"))
    if not rows and not wrong:
        problems.append(words.word("claim_wrong", "no_claim"))
    shown = None
    if held and rows and not wrong:
        try:
            found = refund(held, rows, traced=bool(traced))
        except ValueError:
            problems.append(words.word("claim_wrong", "twice"))
        else:
            shown = {
                "method": found.method.value,
                "method_text": words.word("refund_method", found.method.value),
                "why_text": words.word("refund_why", found.method.value),
                "is_pro_rata": found.method is Method.PRO_RATA,
                "held_text": presenter.yuan(held),
                "left_text": presenter.yuan(found.left_fen),
                "total_text": presenter.yuan(sum(c.loss_fen for c in rows)),
                "total_fen": sum(c.loss_fen for c in rows),
                "sum_text": presenter.yuan(sum(fen for _, fen in found.shares)),
                "steps": [_step(presenter, step) for step in worked(held, rows, found)],
            }
    status = 422 if problems else 200
    return _case_page(
        request, site, actor, case_id, given, problems=problems, preview=shown, status=status
    )


def _step(presenter: Presenter, step: Step) -> dict[str, Any]:
    return {
        "victim": step.victim,
        "loss_text": presenter.yuan(step.loss_fen),
        "at_text": presenter.moment(step.at),
        "floor_text": presenter.yuan(step.floor_fen),
        "remainder": step.remainder,
        "more": step.share_fen - step.floor_fen,
        "share_text": presenter.yuan(step.share_fen),
    }


@router.post("/cases/{case_id}/refunds")
def propose(
    site: SiteOf, actor: Proposer, case_id: RowId, account: Line = "", yuan: Line = "",
    claims: Claims = "", traced: Line = "", note: Line = "",
) -> Response:  # fmt: skip
    """Propose what was previewed."""
    held, (rows, wrong) = to_fen(yuan), read_claims(site, claims)
    if wrong or not held:
        raise RuleError("look at the preview first: a line or the amount held cannot be read")
    desk_of(site).propose(
        actor, case_id, hide_numbers(account), held, rows, traced=bool(traced), note=note
    )
    return RedirectResponse(f"/cases/{case_id}/refunds", 303)


@router.post("/refunds/{refund_id}/approve")
def approve(site: SiteOf, actor: Decider, refund_id: RowId, version: Version) -> Response:
    """Approve with the second name."""
    return _to(desk_of(site).approve(actor, refund_id, version))


@router.post("/refunds/{refund_id}/decide")
def decide(site: SiteOf, actor: Decider, refund_id: RowId, version: Version) -> Response:
    """Decide after the notice."""
    return _to(desk_of(site).decide(actor, refund_id, version))


@router.post("/refunds/{refund_id}/done")
def done(site: SiteOf, actor: Proposer, refund_id: RowId, version: Version) -> Response:
    """Note that the bank has carried it out."""
    return _to(desk_of(site).done(actor, refund_id, version))


@router.post("/refunds/{refund_id}/withdraw")
def withdraw(
    site: SiteOf, actor: Decider, refund_id: RowId, version: Version, why: Line = ""
) -> Response:
    """Take a proposal or a notice back."""
    return _to(desk_of(site).withdraw(actor, refund_id, version, why))


def _to(row: RefundRow) -> RedirectResponse:
    return RedirectResponse(f"/cases/{row.case_id}/refunds", 303)


_COLUMNS = (
    *("refund", "case", "account", "state", "method", "held_fen", "victim", "share_fen"),
    *("proposed_by", "approved_by", "decided_by", "done_by", "decided_at", "done_at"),
)


@api.get("/exports/refunds.{form}", response_class=Response, responses=FILE)
def export(
    site: SiteOf, actor: Annotated[Actor, needs(Permission.EXPORT)], form: FileForm
) -> Response:
    """Shares of all refunds of one's areas, one row for each."""
    noted(site, actor, "refunds", form)

    def rows() -> Iterator[Row]:
        for row, number in site.store.refunds(actor.areas, limit=10_000):
            for victim, fen in row.shares:
                yield [
                    row.id, number, row.account, row.state, row.method, row.held_fen, victim, fen,
                    row.proposed_by, row.approved_by, row.decided_by, row.done_by,
                    time_or_none(row.decided_at), time_or_none(row.done_at),
                ]  # fmt: skip

    return file_answer("refunds", form, _COLUMNS, rows())
