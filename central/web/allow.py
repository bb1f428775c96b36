"""The page of the allow-lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from central.actor import Actor
from central.alert_states import RuleError
from central.allow import Allowance, AllowanceKind, parse_match
from central.allow_desk import AllowDesk
from central.allow_import import MAX_BYTES, Read, Refused, decoded, read_allowances
from central.people.permissions import Permission
from central.store.retention import DAY_US
from central.views import time_or_none
from central.web.access import needs
from central.web.site import Site, SiteOf

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.ALERTS_READ)]
Editor = Annotated[Actor, needs(Permission.ALLOW_LISTS_EDIT)]
Kind = Annotated[str, Form(max_length=40)]
Area = Annotated[str, Form(pattern="^[0-9]{6}$")]
Rows = Annotated[str, Form(max_length=MAX_BYTES)]
_SHOWN_ROWS = 500
_SHOWN_TAKEN = 50
_SHOWN_REFUSED = 200


def _kind(text: str) -> AllowanceKind:
    if text not in {known.value for known in AllowanceKind}:
        raise RuleError("this form does not know that kind")
    return AllowanceKind(text)


@router.get("/allow")
def allow_lists(
    request: Request, site: SiteOf, actor: Reader,
    imported: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
) -> HTMLResponse:  # fmt: skip
    """What is known to be harmless, in force and former."""
    presenter = site.presenter(request)
    known = site.store.all_allowances()
    mine = [
        row
        for row in known
        if (row.added_at, row.added_by) == (imported, actor.name) and row.removed_at is None
    ]
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
        for row in known
        if actor.covers(row.area)
    ][:_SHOWN_ROWS]
    return site.page(
        request,
        "allow.html",
        rows=rows,
        imported=imported,
        imported_rows=len(mine),
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
    now = int(site.clock.wall())
    allowance = Allowance(
        kind=_kind(kind),
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


@router.post("/allow/preview")
async def preview(
    request: Request, site: SiteOf, actor: Editor, kind: Kind, area: Area, rows: Rows = "",
    file: UploadFile | None = None,
) -> HTMLResponse:  # fmt: skip
    """Show what a CSV would add and, line by line, what it would not; nothing is added yet."""
    raw = rows.encode()
    if file is not None and file.filename:
        raw = await file.read()
    return await run_in_threadpool(_preview, request, site, actor, raw, kind, area)


def _preview(
    request: Request, site: Site, actor: Actor, raw: bytes, kind: str, area: str
) -> HTMLResponse:
    read = _read(site, actor, raw, kind, area)
    words = site.words(request)
    return site.page(
        request,
        "allow_preview.html",
        taken=len(read.rows),
        refused=read.refused[:_SHOWN_REFUSED],
        more_refused=max(0, len(read.refused) - _SHOWN_REFUSED),
        shown=[
            {
                "line": line,
                "kind_text": words.word("allowance", row.kind.value),
                "match": sorted((name, str(value)) for name, value in row.match.items()),
                "area": row.area,
                "until_text": site.presenter(request).time(time_or_none(row.valid_until)),
                "note": row.note,
            }
            for line, row in read.rows[:_SHOWN_TAKEN]
        ],
        rows=decoded(raw),
        kind=kind,
        area=area,
    )


def _read(site: Site, actor: Actor, raw: bytes, kind: str, area: str) -> Read:
    """Read a table; a row of an area that is not the reader's is refused like any other."""
    read = read_allowances(raw, kind=_kind(kind), area=area, now=int(site.clock.wall()))
    taken = [(line, row) for line, row in read.rows if actor.covers(row.area)]
    beyond = [
        Refused(line, f"the area {row.area} is not one of yours")
        for line, row in read.rows
        if not actor.covers(row.area)
    ]
    refused = sorted([*read.refused, *beyond], key=lambda one: one.line)
    return Read(tuple(taken), tuple(refused))


@router.post("/allow/import")
def add_many(site: SiteOf, actor: Editor, kind: Kind, area: Area, rows: Rows) -> Response:
    """Add what was previewed."""
    read = _read(site, actor, rows.encode(), kind, area)
    if not read.rows:
        raise RuleError("no row of the table can be taken")
    at = AllowDesk(site.store, site.clock).allow_many(actor, [row for _, row in read.rows])
    return RedirectResponse(f"/allow?imported={at}", 303)


@router.post("/allow/undo")
def undo(
    site: SiteOf, actor: Editor, imported: Annotated[int, Form(ge=1, le=2**63 - 1)]
) -> Response:
    """Take back one's own import."""
    AllowDesk(site.store, site.clock).undo_import(actor, imported)
    return RedirectResponse("/allow", 303)


@router.post("/allow/{allowance_id}/remove")
def remove(
    site: SiteOf, actor: Editor, allowance_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> Response:
    """Take an allowance back."""
    AllowDesk(site.store, site.clock).disallow(actor, allowance_id)
    return RedirectResponse("/allow", 303)
