"""The JSON API: the same views that events carry, without a language."""

from __future__ import annotations

import statistics
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Path, Query, Request

from central.actor import Actor
from central.people.permissions import Permission
from central.store.interface import Device
from central.views import (
    alert_json,
    detection_json,
    device_json,
    dropped_json,
    gaps,
    refusal_json,
)
from central.web.access import needs, needs_account
from central.web.problems import PROBLEMS
from central.web.reach import covers_alert
from central.web.site import SiteOf
from contract.words import Presence

Reader = Annotated[Actor, needs(Permission.ALERTS_READ)]
FleetReader = Annotated[Actor, needs(Permission.DEVICES_READ)]
_MAX_ID = 2**63 - 1
_SHOWN_REFUSALS = 100

router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, actor: Annotated[Actor, needs_account()]) -> dict[str, Any]:
    """Return the OpenAPI document of this API."""
    app: FastAPI = request.app
    return app.openapi()


@router.get("/alerts")
def alerts(
    site: SiteOf,
    actor: Reader,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[int | None, Query(ge=1, le=_MAX_ID)] = None,
) -> dict[str, Any]:
    """Alerts, newest first; ``next_before`` asks for the following page."""
    rows = site.store.alerts(limit + 1, before, actor.areas)
    page = rows[:limit]
    return {
        "schema": "qianshao-alerts/1",
        "alerts": [alert_json(row) for row in page],
        "next_before": page[-1].id if len(rows) > limit else None,
    }


@router.get("/alerts/{alert_id}")
def alert(
    site: SiteOf, actor: Reader, alert_id: Annotated[int, Path(ge=1, le=_MAX_ID)]
) -> dict[str, Any]:
    """One alert with the detections behind it."""
    row = site.store.alert(alert_id)
    if row is None or not covers_alert(actor, row):
        raise HTTPException(404, f"there is no alert {alert_id}")
    detections = site.store.detections_of(alert_id)
    return {
        "schema": "qianshao-alert/1",
        "alert": alert_json(row),
        "detections": [detection_json(d) for d in detections],
    }


@router.get("/devices")
def devices(site: SiteOf, actor: FleetReader) -> dict[str, Any]:
    """All devices."""
    seen = filter(site.reach(actor).covers_device, site.store.devices())
    return {
        "schema": "qianshao-devices/1",
        "devices": [device_json(row) for row in seen],
    }


@router.get("/devices/{device}")
def device(site: SiteOf, actor: FleetReader, device: str) -> dict[str, Any]:
    """One device with its gaps and refusals."""
    row = site.store.device(device)
    if row is None or not site.reach(actor).covers_device(row):
        raise HTTPException(404, f"there is no device {device}")
    counts = site.store.refusal_counts(device)
    return {
        "schema": "qianshao-device/1",
        "device": device_json(row),
        "gaps": [{"first": run.first, "last": run.last} for run in gaps(site.store.runs(device))],
        "dropped": [dropped_json(row) for row in site.store.dropped(device)],
        "refusal_counts": {reason.value: n for reason, n in counts.items()},
        "refusals": [refusal_json(r) for r in site.store.refusals(_SHOWN_REFUSALS, device)],
    }


@router.get("/status")
def status(
    site: SiteOf, actor: Annotated[Actor, needs(Permission.OVERVIEW_READ)]
) -> dict[str, Any]:
    """Health and totals of the central."""
    totals = site.store.totals()
    ingest = None if site.ingest_status is None else site.ingest_status()
    known = site.store.devices()
    return {
        "schema": "qianshao-status/1",
        "state": "degraded" if ingest is not None and ingest.store_problem else "ok",
        "store_problem": None if ingest is None else ingest.store_problem,
        "is_broker_connected": None if ingest is None else ingest.is_connected,
        "receipts": None if ingest is None else ingest.receipts,
        "messages": totals.messages,
        "detections": totals.detections,
        "decisions": totals.decisions,
        "alerts": totals.alerts,
        "duplicates": totals.duplicates,
        "refused": totals.refused,
        "devices": len(known),
        "devices_online": sum(_is_online(row) for row in known),
        "pages_listening": site.hub.listeners,
        "last_event_id": site.store.last_event_id(),
        "alert_latency_ms": _percentiles(totals.alert_latencies_ms),
    }


def _is_online(row: Device) -> bool:
    return row.presence is Presence.ONLINE


def _percentiles(values: tuple[float, ...]) -> dict[str, float | None]:
    """p50 and p95; of a single value both are that value."""
    if not values:
        return {"p50": None, "p95": None}
    if len(values) == 1:
        return {"p50": values[0], "p95": values[0]}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"p50": round(cuts[9], 3), "p95": round(cuts[18], 3)}
