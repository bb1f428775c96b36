"""People to be warned, step by step, and the texts on the machines' idle screens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.dissuasion import Outcome, Risk, Step
from central.people.permissions import Permission, may
from central.units.outreach import Dissuasion
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import SiteOf
from contract.orders import MAX_NOTICE_CHARS

SHOWN = 100
router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.OUTREACH_READ)]
Doer = Annotated[Actor, needs(Permission.OUTREACH_ACT)]
Opener = Annotated[Actor, needs(Permission.SEALED_OPEN)]
Notifier = Annotated[Actor, needs(Permission.NOTICES_EDIT)]
Text = Annotated[str, Form(max_length=MAX_NOTICE_CHARS)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/outreach")
def outreach(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Who is to be reached and how; notices and the machines that show them."""
    return _page(request, site, actor)


@router.post("/outreach")
def begin(
    site: SiteOf, actor: Doer, number: Annotated[str, Form(max_length=40)],
    risk: Annotated[Risk, Form()], area: Annotated[str, Form(pattern="^[0-9]{6}$")],
    note: Annotated[str, Form(max_length=2000)] = "",
) -> Response:  # fmt: skip
    """Begin to reach somebody."""
    site.outreach.open(actor, number, risk, area, note)
    return RedirectResponse("/outreach", 303)


@router.post("/outreach/{dissuasion}/step")
def step(
    site: SiteOf, actor: Doer, dissuasion: RowId, step: Annotated[Step, Form()],
    outcome: Annotated[Outcome, Form()], text: Annotated[str, Form(max_length=2000)] = "",
) -> Response:  # fmt: skip
    """Write down what came of a step."""
    site.outreach.note_step(actor, dissuasion, step, outcome, text)
    return RedirectResponse("/outreach", 303)


@router.post("/outreach/{dissuasion}/number")
def number(request: Request, site: SiteOf, actor: Opener, dissuasion: RowId) -> HTMLResponse:
    """Show one person's number; that it was looked at is on record."""
    opened = site.outreach.open_number(actor, dissuasion)
    return _page(request, site, actor, opened={dissuasion: opened})


@router.post("/outreach/notices")
def show(
    site: SiteOf, actor: Notifier, zh: Text, en: Text,
    hours: Annotated[int, Form(ge=1, le=720)] = 24,
) -> Response:  # fmt: skip
    """Put a text on the idle screens."""
    site.outreach.show(actor, zh, en, hours)
    return RedirectResponse("/outreach", 303)


@router.post("/outreach/notices/end")
def end(
    site: SiteOf, actor: Notifier, notice: Annotated[str, Form(pattern="^[0-9a-f]{32}$")]
) -> Response:
    """Take it off before its time."""
    try:
        site.outreach.end(actor, bytes.fromhex(notice))
    except ValueError as error:
        raise RuleError(str(error)) from None
    return RedirectResponse("/outreach", 303)


def _page(
    request: Request, site: SiteOf, actor: Actor, opened: dict[int, str] | None = None
) -> HTMLResponse:
    presenter = site.presenter(request)
    return site.page(
        request,
        "outreach.html",
        people=[_person(presenter, actor, one) for one in site.outreach.dissuasions(actor, SHOWN)],
        opened=opened or {},
        risks=[risk.value for risk in Risk],
        outcomes=[outcome.value for outcome in Outcome],
        area=min(actor.areas, default=""),
        notices=[
            {
                **row,
                "id": row["notice"].hex(),
                "until_text": presenter.moment(row["until"]),
                "shown": presenter.moment(row["shown_at"]),
            }
            for row in site.outreach.notices(20)
        ],
        most=MAX_NOTICE_CHARS,
    )


def _person(presenter: Presenter, actor: Actor, one: Dissuasion) -> dict[str, Any]:
    words = presenter.words
    return {
        "id": one.id,
        "last4": one.last4,
        "risk": words.word("risk", one.risk),
        "area": one.area,
        "note": one.note,
        "opened": presenter.moment(one.opened_at),
        "by": one.opened_by,
        "tried": [
            {"step": words.word("step", row["step"]),
             "outcome": words.word("step_outcome", row["outcome"]), "text": row["text"],
             "actor": row["actor"], "at": presenter.moment(row["at"])}
            for row in one.tried
        ],
        "due": None if one.next.step is None else one.next.step.value,
        "is_done": one.next.is_done,
        "is_escalated": one.next.is_escalated,
        "may_go_on": may(actor, Permission.OUTREACH_ACT)
        and (not one.next.is_escalated or actor.has(Role.COMMANDER)),
    }  # fmt: skip
