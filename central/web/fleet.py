"""What a device's page says beyond its last report: certificates, past health, revocation."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response

from central.actor import Actor
from central.audit import record
from central.fleet_desk import place_device
from central.people.permissions import Permission
from central.store.identities import IssuedCertificate
from central.store.interface import Device, Json
from central.views import time_or_none
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from contract import EnvelopeError, Health, open_envelope
from contract.cosign import read_body
from contract.orders import Configuration, Officers
from contract.words import OrderOutcome, OrderType, PartState

router = APIRouter(include_in_schema=False)

SHOWN_REPORTS = 48
SOON_US = 7 * 86_400_000_000
"""A certificate that ends within a week is renewed by then, or something is wrong."""
_SEE_OTHER = 303


def certificates(site: Site, presenter: Presenter, device: str) -> list[Json]:
    """Return a device's certificates, the newest first."""
    return [_certificate(site, presenter, issued) for issued in site.store.certificates(device)]


def _certificate(site: Site, presenter: Presenter, issued: IssuedCertificate) -> Json:
    now = site.clock.wall()
    if issued.revoked_at is not None:
        state = "revoked"
    elif issued.not_after <= now:
        state = "expired"
    else:
        state = "ends_soon" if issued.not_after - now < SOON_US else "valid"
    return {
        "serial": issued.serial,
        "from_text": presenter.time(time_or_none(issued.not_before)),
        "to_text": presenter.time(time_or_none(issued.not_after)),
        "state": state,
        "state_text": presenter.words.word("certificate", state),
    }


def expiries(site: Site, presenter: Presenter) -> dict[str, Json]:
    """Return the newest certificate of each device that has one in force."""
    found: dict[str, Json] = {}
    for issued in site.store.certificates():
        if issued.revoked_at is None and issued.device not in found:
            found[issued.device] = _certificate(site, presenter, issued)
    return found


def health_history(site: Site, presenter: Presenter, device: str) -> list[Json]:
    """Return the last reports, the newest first, each opened anew from its signed message."""
    rows = []
    for message in site.store.messages_of_type(device, "health", SHOWN_REPORTS):
        try:
            envelope = open_envelope(
                message.cose, tenant=site.settings.tenant, find_key=site.store.known_key
            )
        except EnvelopeError:
            continue  # the page of the message itself says what is wrong with it
        body = envelope.body
        if isinstance(body, Health):
            rows.append(_report(presenter, message.received_at, body))
    return rows


def sensors(presenter: Presenter, row: Device) -> list[Json]:
    """Return each sniffer with when it last said something, by the device's last report.

    A report tells the age of a sensor's last byte; its time is the report's less that age.
    """
    found = []
    for part in (row.health or {}).get("parts", ()):
        kind, _, name = part["name"].partition(" ")
        if kind != "sensor" or row.health_at is None:
            continue
        age_s = part["counters"].get("last_data_age_s")
        is_known = isinstance(age_s, int | float) and not isinstance(age_s, bool)
        at = row.health_at - round(age_s * 1e6) if is_known else None
        found.append(
            {
                "name": name,
                "state": part["state"],
                "state_text": presenter.words.word("part_state", part["state"]),
                "seen_text": presenter.time(time_or_none(at)) or presenter.words.text("never"),
                "readings": part["counters"].get("readings", "–"),
                "detail": presenter.words.word("detail", part["detail"]),
            }
        )
    return found


def bundles(site: Site, presenter: Presenter, device: str) -> list[Json]:
    """Return what a device should run with and what it does run with, of each kind of bundle."""
    rows = []
    for kind in (OrderType.CONFIGURATION, OrderType.OFFICERS):
        told = site.store.told(device, kind)
        if not told:
            continue
        applied = next((one for one in told if one.outcome is OrderOutcome.APPLIED), None)
        newest = told[0]
        state = "pending" if newest.outcome is None else newest.outcome.value
        if newest.outcome is None and newest.expires <= site.clock.wall():
            state = "expired"
        reason = "" if newest.reason is None else newest.reason.value
        rows.append(
            {
                "kind": kind.value,
                "kind_text": presenter.words.word("bundle", kind.value),
                "wanted": _version(newest.raw),
                "in_force": "–" if applied is None else _version(applied.raw),
                "state": state,
                "state_text": presenter.words.word("bundle_state", state),
                "why": " ".join(part for part in (reason, newest.detail) if part),
                "sent_text": presenter.time(time_or_none(newest.issued_at)),
                "attempts": newest.attempts,
                "answered_text": presenter.time(time_or_none(newest.answered_at)),
            }
        )
    return rows


def _version(raw: bytes) -> int:
    body = read_body(raw)
    assert isinstance(body, Configuration | Officers)
    return body.bundle


def _report(presenter: Presenter, received_at: int, body: Health) -> Json:
    order = list(PartState)
    worst = max((part.state for part in body.parts), key=order.index, default=PartState.OK)
    bad: list[Any] = [part for part in body.parts if part.state is not PartState.OK]
    depth = next((p.counters.get("depth") for p in body.parts if p.name == "outbox"), None)
    return {
        "at_text": presenter.time(time_or_none(received_at)),
        "worst": worst.value,
        "worst_text": presenter.words.word("part_state", worst.value),
        "failing": ", ".join(presenter.part(part.name) for part in bad),
        "depth": "–" if depth is None else depth,
        "uptime_text": presenter.lasted(body.uptime_s * 1_000_000),
        "version": body.version,
    }


@router.post("/devices/{device}/area")
def place(
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.DEVICES_PLACE)],
    device: Annotated[str, Path(max_length=40)],
    area: Annotated[str, Form(max_length=6)] = "",
) -> Response:
    """Say in which division a device stands; empty: the central's own."""
    place_device(
        site.store, site.clock, actor, device, area,
        own_area=site.settings.area, on_events=site.hub.publish,
    )  # fmt: skip
    return RedirectResponse(f"/devices/{device}", _SEE_OTHER)


@router.post("/devices/{device}/revoke")
def revoke(
    request: Request,
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.DEVICES_REVOKE)],
    device: Annotated[str, Path(max_length=40)],
    typed: Annotated[str, Form(max_length=40)],
    reason: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Put a device out for good: its session, keys and certificates. Its name must be typed."""
    row = site.store.device(device)
    if row is None:
        raise HTTPException(404, f"there is no device {device}")
    if typed != device:
        raise HTTPException(422, "the name that was typed is not this device's")
    if row.revoked_at is not None:
        raise HTTPException(409, "this device is revoked already")
    now = site.clock.wall()
    site.store.revoke(device, now)
    with site.store.transaction() as tx:
        record(tx, now, actor, "device.revoke", device, detail={"reason": reason})
    return RedirectResponse(f"/devices/{device}", _SEE_OTHER)
