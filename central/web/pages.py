"""The officers' pages. They are complete without JavaScript."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import HTMLResponse

from central.actor import Actor
from central.people.permissions import Permission
from central.store.interface import Snapshot
from central.views import (
    device_json,
    dropped_json,
    gaps,
    refusal_json,
)
from central.web import fleet
from central.web.access import needs
from central.web.clocks import notices_of
from central.web.reach import Reach
from central.web.site import Site, SiteOf
from contract.topics import TopicError, check_id

SHOWN_ALERTS = 60
"""With full lists beside them the page stays below 200 kB; live.js keeps as many."""
SHOWN_DECISIONS = 30
_SHOWN_REFUSALS = 50
_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.ALERTS_READ)]
FleetReader = Annotated[Actor, needs(Permission.DEVICES_READ)]
AlertId = Annotated[int, Path(ge=1, le=_MAX_ID)]


def snapshot_for(site: Site, reach: Reach) -> Snapshot:
    """Return what the live page shows to one person."""
    found = site.store.snapshot(
        SHOWN_ALERTS,
        SHOWN_DECISIONS,
        None if reach.is_whole else reach.actor.areas,
        covers_own=reach.covers_own,
    )
    return replace(found, devices=tuple(filter(reach.covers_device, found.devices)))


@router.get("/")
def live(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Alerts as they come, decisions of ATMs, devices."""
    snapshot = snapshot_for(site, site.reach(actor))
    presenter = site.presenter(request)
    shown = presenter.snapshot(snapshot)
    return site.page(
        request,
        "live.html",
        notices=notices_of(site, presenter, actor),
        last_event_id=snapshot.last_event_id,
        counts=site.counts.open(actor.areas),
        **shown,
    )


@router.get("/devices")
def devices(request: Request, site: SiteOf, actor: FleetReader) -> HTMLResponse:
    """All devices, and what was refused lately from whomever."""
    presenter = site.presenter(request)
    return site.page(
        request,
        "devices.html",
        devices=[
            presenter.device(device_json(row))
            for row in filter(site.reach(actor).covers_device, site.store.devices())
        ],
        expiries=fleet.expiries(site, presenter),
        refusals=[
            presenter.refusal(refusal_json(row)) for row in site.store.refusals(_SHOWN_REFUSALS)
        ],
    )


@router.get("/devices/{device}")
def device(request: Request, site: SiteOf, actor: FleetReader, device: str) -> HTMLResponse:
    """One device: presence, health of its parts, receipts, gaps, refusals."""
    try:
        row = site.store.device(check_id(device))
    except TopicError as error:
        raise HTTPException(404, "no such device") from error
    if row is None or not site.reach(actor).covers_device(row):
        raise HTTPException(404, f"there is no device {device}")
    presenter = site.presenter(request)
    view = device_json(row)
    runs = site.store.runs(device)
    counts = site.store.refusal_counts(device)
    return site.page(
        request,
        "device.html",
        device=presenter.device(view),
        enrolled_text=presenter.time(view["enrolled_at"]),
        revoked_text=presenter.time(view["revoked_at"]),
        health_at_text=presenter.time(view["health_at"]),
        uptime_text=""
        if row.health is None
        else presenter.lasted(row.health["uptime_s"] * 1_000_000),
        parts_of_device=presenter.health_parts(row.health),
        certificates=fleet.certificates(site, presenter, device),
        reports=fleet.health_history(site, presenter, device),
        sensors=fleet.sensors(presenter, row),
        bundles=fleet.bundles(site, presenter, device),
        area=row.area,
        own_area=site.settings.area,
        highest_seq=runs[-1].last if runs else 0,
        chain_start=row.chain_start,
        gaps=gaps(runs),
        dropped=[presenter.dropped(dropped_json(d)) for d in site.store.dropped(device)],
        refusal_counts=[
            (presenter.words.word("refusal", reason.value), n) for reason, n in counts.items()
        ],
        refusals=[
            presenter.refusal(refusal_json(r)) for r in site.store.refusals(_SHOWN_REFUSALS, device)
        ],
    )
