"""What comes to cases from outside: tip-offs and their rewards, and the units' own answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.case_desk import SOURCES
from central.case_work import SeenCase
from central.people.permissions import Permission
from central.store.cases import TipOff
from central.views import time_or_none
from central.web.access import needs
from central.web.cases import (
    Area,
    Closer,
    Line,
    Officer,
    Reader,
    RowId,
    Text,
    Version,
    desk_of,
    is_ours,
    to_case,
)
from central.web.places import place_of
from central.web.site import SiteOf

_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Unit = Annotated[Actor, needs(Permission.CASES_ANSWER)]

# -- what people told -----------------------------------------------------------------------------


@router.get("/tips")
def tips(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Tip-offs of one's areas."""
    presenter = site.presenter(request)
    rows = [
        (tip, presenter.time(time_or_none(tip.taken_at)))
        for tip in site.store.tip_offs(actor.areas)
    ]
    return site.page(
        request, "tips.html", tips=rows, sources=SOURCES, area=min(actor.areas, default="")
    )


@router.post("/tips")
def take_tip(
    site: SiteOf, actor: Officer, source: Line, text: Text, area: Area,
    lat: Annotated[str, Form(max_length=20)] = "", lon: Annotated[str, Form(max_length=20)] = "",
) -> Response:  # fmt: skip
    """Write down what somebody told."""
    place = place_of(lat, lon)
    tip = TipOff(
        source=source, text=text, area=area, taken_by=actor.name, taken_at=0,
        lat=None if place is None else place[0], lon=None if place is None else place[1],
    )  # fmt: skip
    desk_of(site).take_tip(actor, tip)
    return RedirectResponse("/tips", 303)


@router.post("/cases/{case_id}/tips")
def link_tip(
    site: SiteOf, actor: Officer, case_id: RowId, version: Version,
    tip_id: Annotated[int, Form(ge=1, le=_MAX_ID)],
) -> Response:  # fmt: skip
    """Let a tip-off belong to the case."""
    return to_case(desk_of(site).link_tip(actor, SeenCase(case_id, version), tip_id))


@router.post("/tips/{tip_id}/award")
def award(
    site: SiteOf, actor: Closer, tip_id: RowId, yuan: Annotated[int, Form(ge=0, le=10**6)]
) -> Response:
    """Award a reward, in its range and only after verification."""
    return to_case(desk_of(site).award(actor, tip_id, yuan * 100))


# -- the units' own page --------------------------------------------------------------------------


@router.get("/inquiries")
def inquiries(request: Request, site: SiteOf, actor: Unit) -> HTMLResponse:
    """What the operator or regulator is asked: identities only, nothing of the case besides."""
    presenter = site.presenter(request)
    rows = [
        {
            "id": inquiry.id,
            "unit": inquiry.unit,
            "question": inquiry.question,
            "asked_text": presenter.time(time_or_none(inquiry.asked_at)),
            "kind_text": presenter.words.word("case_kind", case.kind),
            "subject": presenter.pairs(case.subject),
        }
        for inquiry, case in site.store.open_inquiries(actor.areas, actor.roles)
    ]
    return site.page(request, "inquiries.html", inquiries=rows)


@router.post("/inquiries/{inquiry_id}")
def answer(
    site: SiteOf, actor: Unit, inquiry_id: RowId, answer: Line, person: Line, note: Text = ""
) -> Response:
    """Answer for one's unit, with the name of who says so."""
    desk_of(site).answer(
        actor, inquiry_id, is_ours=is_ours(answer), person=person, note=note, is_liaison=True
    )
    return RedirectResponse("/inquiries", 303)
