"""Member units, their feeds with a receipt each, and the figures that they report of themselves."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Form, Path, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from central.actor import Actor
from central.people.permissions import Permission
from central.units import FeedDesk, Receipt
from central.units.bounds import Bounds
from central.units.feeds import COLUMNS, UnitKind
from central.web.access import needs
from central.web.list_pages import decoded
from central.web.site import Site, SiteOf
from contract.clock import UnixMicros
from contract.codec import rfc3339
from contract.words import FeedKind

SHOWN_RECEIPTS, SHOWN_FIGURES = 50, 200
router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.UNITS_READ)]
Feeder = Annotated[Actor, needs(Permission.UNITS_FEED)]
Editor = Annotated[Actor, needs(Permission.UNITS_EDIT)]
Line = Annotated[str, Form(max_length=200)]
Kind = Annotated[str, Form(max_length=20)]
KINDS, FEEDS = [kind.value for kind in UnitKind], [kind.value for kind in FeedKind]


def desk_of(site: Site) -> FeedDesk:
    """Return the desk of feeds; a lead becomes a case."""
    return FeedDesk(site.store, site.clock, on_events=site.hub.publish)


@router.get("/units")
def units(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Units, the silent ones first; receipts; figures with their source.

    A unit's own people see their unit alone.
    """
    own = Bounds(site.store, site.clock).unit(actor, Permission.UNITS_READ)
    desk, presenter = desk_of(site), site.presenter(request)
    found = desk.units(own)
    is_chinese = presenter.words.language.value.startswith("zh")
    names = {one.unit: one.zh if is_chinese else one.en for one in found}
    return site.page(
        request,
        "units.html",
        units=[
            {
                "unit": one.unit,
                "name": names[one.unit],
                "kind": presenter.words.word("unit", one.kind),
                "every": one.feed_every_h,
                "last": "" if one.last_at is None else presenter.moment(one.last_at),
                "is_silent": one.is_silent,
            }
            for one in found
        ],
        receipts=[
            {
                "r": r,
                "kind": presenter.words.word("feed", r.kind),
                "name": names.get(r.unit, r.unit),
                "at": presenter.moment(r.received_at),
            }
            for r in desk.receipts(SHOWN_RECEIPTS, own)
        ],
        figures=[
            {
                **row,
                "source": names.get(row["unit"], row["unit"]),
                "at": presenter.moment(row["received_at"]),
            }
            for row in desk.indicators(SHOWN_FIGURES, own)
        ],
        kinds=KINDS,
        feeds=[(kind.value, ",".join(COLUMNS[kind])) for kind in FeedKind],
        silent=sum(one.is_silent for one in found),
    )


@router.post("/units")
def add_unit(
    site: SiteOf, actor: Editor, unit: Line, zh: Line, en: Line,
    kind: Annotated[UnitKind, Form()], every: Annotated[int, Form(ge=0, le=8760)] = 24,
) -> Response:  # fmt: skip
    """Add a member unit."""
    desk_of(site).add_unit(actor, unit, zh, en, kind, every)
    return RedirectResponse("/units", 303)


@router.post("/units/feed")
async def feed(
    site: SiteOf, actor: Feeder, unit: Line, kind: Annotated[FeedKind, Form()],
    rows: Annotated[str, Form(max_length=900_000)] = "", file: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Take a unit's CSV by the form."""
    name, text = "form", rows
    if file is not None and file.filename:
        name, text = file.filename, decoded(await file.read())
    await run_in_threadpool(desk_of(site).take, actor, unit, kind, name, text)
    return RedirectResponse("/units", 303)


@router.post("/api/feeds/{unit}/{kind}")
def feed_by_program(
    site: SiteOf, actor: Feeder, unit: Annotated[str, Path(max_length=40)], kind: FeedKind,
    body: Annotated[bytes, Body(media_type="text/csv")],
) -> Response:  # fmt: skip
    """Take a unit's CSV over HTTP and answer with its receipt."""
    return JSONResponse(_receipt(desk_of(site).take(actor, unit, kind, "http", decoded(body))))


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "schema": "qianshao-feed-receipt/1",
        "id": receipt.id,
        "unit": receipt.unit,
        "kind": receipt.kind,
        "sha256": receipt.sha256,
        "taken": receipt.taken,
        "refused": receipt.refused,
        "refusals": [{"line": line, "reason": reason} for line, reason in receipt.refusals],
        "received_at": rfc3339(UnixMicros(receipt.received_at)),
    }
