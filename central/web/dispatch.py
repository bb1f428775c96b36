"""The dispatch board: vans, where they were sent, what their crews said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.case_work import SeenCase
from central.dispatch import duty_text
from central.dispatch_desk import DispatchDesk
from central.people.permissions import Permission
from central.views import time_or_none
from central.web.access import needs
from central.web.places import dispatch_view, place_of
from central.web.site import Site, SiteOf

_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.DISPATCH_READ)]
Dispatcher = Annotated[Actor, needs(Permission.DISPATCH_ACT)]
RowId = Annotated[int, Path(ge=1, le=_MAX_ID)]
Version = Annotated[int, Form(ge=0, le=_MAX_ID)]
Line = Annotated[str, Form(max_length=200)]
Degrees = Annotated[str, Form(max_length=20)]


def desk_of(site: Site) -> DispatchDesk:
    """Return the desk that sends vans; raises RuleError where no broker is at hand."""
    if site.tell_van is None:
        raise RuleError("this central has no broker by which a van is told")
    return DispatchDesk(
        site.store,
        site.clock,
        site.tell_van,
        site.hub.publish,
        utc_offset_minutes=site.settings.utc_offset_minutes,
    )


@router.get("/dispatch")
def board(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Vans and what is under way, newest first."""
    presenter = site.presenter(request)
    now = int(site.clock.wall())
    covered = [
        row
        for row in site.store.dispatches(limit=100)
        if (case := site.store.case(row.case_id)) is not None and actor.covers(case.area)
    ]
    return site.page(
        request,
        "dispatch.html",
        vans=[
            {
                "device": van.device,
                "place": "" if van.lat is None else f"{van.lat:.5f}, {van.lon:.5f}",
                "placed_text": presenter.time(time_or_none(van.placed_at)),
                "is_old": van.is_position_old(now),
                "duty": duty_text(van.duty_from, van.duty_until),
                "is_own_word": van.is_own_word,
                "is_busy": van.is_busy,
                "is_online": van.is_online,
            }
            for van in site.store.vans()
        ],
        dispatches=[dispatch_view(presenter, row) for row in covered],
    )


@router.post("/dispatch/vans")
def place_van(
    site: SiteOf, actor: Dispatcher, device: Line, lat: Degrees = "", lon: Degrees = "",
    duty: Annotated[str, Form(max_length=20)] = "", crew: Line = "",
) -> Response:  # fmt: skip
    """Say where a van is and when it is on duty."""
    desk_of(site).place(actor, device, place_of(lat, lon), duty, crew)
    return RedirectResponse("/dispatch", 303)


@router.post("/cases/{case_id}/dispatch")
def send(
    site: SiteOf, actor: Dispatcher, case_id: RowId, version: Version, van: Line = "",
    lat: Degrees = "", lon: Degrees = "", text: Annotated[str, Form(max_length=2000)] = "",
) -> Response:  # fmt: skip
    """Send the nearest free van, or the named one."""
    desk_of(site).send(
        actor, SeenCase(case_id, version), place_of(lat, lon), text, van.strip() or None
    )
    return RedirectResponse(f"/cases/{case_id}", 303)


@router.post("/dispatch/{dispatch_id}/cancel")
def cancel(site: SiteOf, actor: Dispatcher, dispatch_id: RowId, version: Version) -> Response:
    """Call a van off."""
    desk_of(site).cancel(actor, dispatch_id, version)
    return RedirectResponse("/dispatch", 303)
