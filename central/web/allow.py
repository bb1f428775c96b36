"""The page of the allow-lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.allow import Allowance, AllowanceKind, parse_match
from central.allow_desk import AllowDesk
from central.people.permissions import Permission
from central.store.retention import DAY_US
from central.views import time_or_none
from central.web.access import needs
from central.web.site import SiteOf

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.ALERTS_READ)]
Editor = Annotated[Actor, needs(Permission.ALLOW_LISTS_EDIT)]


@router.get("/allow")
def allow_lists(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """What is known to be harmless, in force and former."""
    presenter = site.presenter(request)
    rows = [
        {
            "id": row.id,
            "kind_text": presenter.words.word("allowance", row.kind.value),
            "match": sorted((name, str(value)) for name, value in row.match.items()),
            "area": row.area,
            "until_text": presenter.time(time_or_none(row.valid_until)),
            "note": row.note,
            "added_by": row.added_by,
            "added_text": presenter.time(time_or_none(row.added_at)),
            "removed_by": row.removed_by,
            "hits": row.hits,
        }
        for row in site.store.all_allowances(limit=500)
        if actor.covers(row.area)
    ]
    return site.page(
        request,
        "allow.html",
        rows=rows,
        kinds=[kind.value for kind in AllowanceKind],
        area=min(actor.areas, default=""),
    )


@router.post("/allow")
def add(
    site: SiteOf,
    actor: Editor,
    kind: Annotated[str, Form(max_length=40)],
    match: Annotated[str, Form(max_length=1000)],
    area: Annotated[str, Form(pattern="^[0-9]{6}$")],
    note: Annotated[str, Form(max_length=2000)],
    days: Annotated[int, Form(ge=0, le=3650)] = 0,
) -> Response:
    """Add an allowance."""
    if kind not in {known.value for known in AllowanceKind}:
        raise RuleError("this form does not know that kind")
    now = int(site.clock.wall())
    allowance = Allowance(
        kind=AllowanceKind(kind),
        match=parse_match(match),
        area=area,
        valid_from=now,
        valid_until=now + days * DAY_US if days else None,
        note=note,
        added_by=actor.name,
        added_at=now,
    )
    AllowDesk(site.store, site.clock).allow(actor, allowance)
    return RedirectResponse("/allow", 303)


@router.post("/allow/{allowance_id}/remove")
def remove(
    site: SiteOf, actor: Editor, allowance_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> Response:
    """Take an allowance back."""
    AllowDesk(site.store, site.clock).disallow(actor, allowance_id)
    return RedirectResponse("/allow", 303)
