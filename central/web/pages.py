"""The officers' pages. They are complete without JavaScript."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, Response

from central.actor import Actor
from central.evidence import check_message
from central.people.permissions import Permission
from central.store.interface import AlertRow, Message
from central.views import (
    alert_json,
    decision_json,
    detection_json,
    device_json,
    dropped_json,
    gaps,
    refusal_json,
    time_or_none,
)
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from contract.topics import TopicError, check_id

SHOWN_ALERTS = 100
SHOWN_DECISIONS = 30
_SHOWN_REFUSALS = 50
_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.ALERTS_READ)]
FleetReader = Annotated[Actor, needs(Permission.DEVICES_READ)]
AlertId = Annotated[int, Path(ge=1, le=_MAX_ID)]


@router.get("/")
def live(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Alerts as they come, decisions of ATMs, devices."""
    snapshot = site.store.snapshot(SHOWN_ALERTS, SHOWN_DECISIONS)
    shown = site.presenter(request).snapshot(snapshot)
    severities = [row["severity"] for row in shown["alerts"]]
    return site.page(
        request,
        "live.html",
        last_event_id=snapshot.last_event_id,
        counts={word: severities.count(word) for word in ("critical", "high", "warning")},
        **shown,
    )


@router.get("/alerts/{alert_id}")
def alert(request: Request, site: SiteOf, actor: Reader, alert_id: AlertId) -> HTMLResponse:
    """One alert: why, what else it might have been, and the signed message behind it."""
    row = _alert(site, alert_id)
    presenter = site.presenter(request)
    view = alert_json(row)
    detections = [
        presenter.detection(detection_json(d)) for d in site.store.detections_of(alert_id)
    ]
    lead = next((d for d in detections if (d["device"], d["seq"]) == (row.device, row.seq)), None)
    decision = site.store.decision(row.device, row.seq)
    message = site.store.message(row.device, row.seq)
    return site.page(
        request,
        "alert.html",
        alert=presenter.alert(view),
        latency_ms=view["latency_ms"],
        lead=lead,
        others=[d for d in detections if d is not lead],
        decision=None if decision is None else presenter.decision(decision_json(decision)),
        face=None if decision is None else decision.body["face"],
        message=None if message is None else _message(site, presenter, message),
    )


def _alert(site: Site, alert_id: int) -> AlertRow:
    row = site.store.alert(alert_id)
    if row is None:
        raise HTTPException(404, f"there is no alert {alert_id}")
    return row


def _message(site: Site, presenter: Presenter, message: Message) -> dict[str, Any]:
    check = check_message(site.store, message, site.settings.tenant)
    return {
        "device": message.device,
        "seq": message.seq,
        "type": message.type,
        "digest": message.digest.hex(),
        "prev": message.prev.hex(),
        "kid": message.kid.hex(),
        "boot_id": message.boot_id.hex(),
        "size_bytes": len(message.cose),
        "wall_text": presenter.time(time_or_none(message.wall)),
        "received_text": presenter.time(time_or_none(message.received_at)),
        "mono_text": f"{message.mono / 1e6:.3f} s",
        "is_clock_synced": message.is_clock_synced,
        "clock_error_ms": message.clock_error_ms,
        "is_intact": check.is_intact,
        "problem": check.problem,
    }


@router.get("/alerts/{alert_id}/envelope")
def envelope(site: SiteOf, actor: Reader, alert_id: AlertId) -> Response:
    """Return the signed message as it came; refused if the stored bytes are no longer it."""
    row = _alert(site, alert_id)
    message = site.store.message(row.device, row.seq)
    if message is None:
        raise HTTPException(404, f"alert {alert_id} has no stored message")
    check = check_message(site.store, message, site.settings.tenant)
    if not check.is_intact:
        raise HTTPException(500, f"the stored evidence is damaged: {check.problem}")
    name = f"{message.device}-{message.seq}.cose"
    return Response(
        message.cose,
        media_type="application/cose",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "etag": f'"{message.digest.hex()}"',
        },
    )


@router.get("/devices")
def devices(request: Request, site: SiteOf, actor: FleetReader) -> HTMLResponse:
    """All devices, and what was refused lately from whomever."""
    presenter = site.presenter(request)
    return site.page(
        request,
        "devices.html",
        devices=[presenter.device(device_json(row)) for row in site.store.devices()],
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
    if row is None:
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
        uptime_s=None if row.health is None else row.health["uptime_s"],
        parts_of_device=presenter.health_parts(row.health),
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
