"""The pages of alerts: the list, one alert, and what an officer does there. Plain forms."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_desk import AlertDesk
from central.alert_states import (
    CLOSED,
    OPEN,
    UNDO_S,
    UNDOABLE,
    AlertAction,
    AlertState,
    ReasonCode,
    RuleError,
)
from central.alert_work import Seen
from central.evidence import check_message
from central.people.permissions import Permission
from central.store.interface import AlertRow, Message
from central.store.triage import AlertFilter
from central.views import alert_json, decision_json, detection_json, time_or_none
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from central.web.told import back
from contract.words import AlertKind, Severity

PAGE_ROWS = 50
SNOOZES_S = (900, 3600, 4 * 3600, 12 * 3600)
_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.ALERTS_READ)]
Officer = Annotated[Actor, needs(Permission.ALERTS_ACT)]
Reviewer = Annotated[Actor, needs(Permission.ALERTS_REVIEW)]
AlertId = Annotated[int, Path(ge=1, le=_MAX_ID)]
Version = Annotated[int, Form(ge=0, le=_MAX_ID)]
Text = Annotated[str, Form(max_length=2000)]
Line = Annotated[str, Form(max_length=80)]
Filter = Annotated[str, Query(max_length=80)]

ACTS = frozenset({AlertAction.ACKNOWLEDGE, AlertAction.SNOOZE, AlertAction.WAKE, AlertAction.NOTE})
REVIEWS = frozenset({AlertAction.CONFIRM, AlertAction.DISMISS, AlertAction.CLOSE})
GROUPS: dict[str, tuple[AlertState, ...]] = {
    "open": OPEN,
    "new": (AlertState.NEW,),
    "closed": CLOSED,
    "all": (),
}


def desk_of(site: Site) -> AlertDesk:
    """Return the desk that changes alerts and tells the open pages."""
    return AlertDesk(site.store, site.clock, site.hub.publish)


@router.get("/alerts")
def alerts(
    request: Request,
    site: SiteOf,
    actor: Reader,
    group: Filter = "open",
    technical: bool = False,
    severity: Filter = "",
    kind: Filter = "",
    device: Filter = "",
    text: Filter = "",
    after: Annotated[str, Query(max_length=50)] = "",
) -> HTMLResponse:
    """Alerts with filters, one page at a time, the one that rose last first."""
    wanted = AlertFilter(
        areas=actor.areas,
        is_technical=technical,
        states=tuple(state.value for state in GROUPS.get(group, OPEN)),
        severity=_word(Severity, severity),
        kind=_word(AlertKind, kind),
        device=device or None,
        text=text.strip() or None,
    )
    page = site.store.alert_page(wanted, PAGE_ROWS, _place(after))
    counts = site.store.alert_counts(actor.areas, is_technical=technical)
    presenter = site.presenter(request)
    asked = {
        "group": group, "technical": "true" if technical else "", "severity": severity,
        "kind": kind, "device": device, "text": text,
    }  # fmt: skip
    asked = {name: value for name, value in asked.items() if value}
    following = None
    if page.after is not None:
        following = "?" + urlencode({**asked, "after": f"{page.after[0]}-{page.after[1]}"})
    return site.page(
        request,
        "alerts.html",
        alerts=[presenter.alert(alert_json(row)) for row in page.rows],
        following=following,
        is_first=not after,
        asked={name: asked.get(name, "") for name in ("severity", "kind", "device", "text")},
        group=group if group in GROUPS else "open",
        groups=list(GROUPS),
        technical=technical,
        counts=_counts(counts),
        severities=[word.value for word in Severity],
        kinds=[word.value for word in AlertKind],
        reasons=[code.value for code in ReasonCode],
        snoozes=SNOOZES_S,
        here=request.url.path + ("?" + request.url.query if request.url.query else ""),
    )


def _word(words: type[Any], text: str) -> Any:
    return words(text) if text in {word.value for word in words} else None


def _place(after: str) -> tuple[int, int] | None:
    risen_at, sign, last = after.partition("-")
    is_place = sign and all(n.isascii() and n.isdigit() and len(n) < 19 for n in (risen_at, last))
    return (int(risen_at), int(last)) if is_place else None


def _counts(counts: dict[tuple[str, Severity], int]) -> dict[str, Any]:
    open_states = {state.value for state in OPEN}
    return {
        "new": sum(n for (state, _), n in counts.items() if state == AlertState.NEW),
        "open": sum(n for (state, _), n in counts.items() if state in open_states),
        "all": sum(counts.values()),
        "closed": sum(n for (state, _), n in counts.items() if state in CLOSED),
        "severity": {
            word.value: sum(
                n for (state, sev), n in counts.items() if sev is word and state in open_states
            )
            for word in Severity
        },
    }


# -- what is done with many -----------------------------------------------------------------------


@router.post("/alerts/act")
def act_on_many(
    request: Request,
    site: SiteOf,
    actor: Officer,
    action: Line,
    chosen: Annotated[list[str] | None, Form()] = None,
    snooze_s: Annotated[int, Form(ge=0, le=86_400)] = 0,
    note: Text = "",
    to: Text = "/alerts",
) -> Response:
    """Acknowledge, snooze or wake what was ticked."""
    return _bulk(request, site, actor, _one_of(action, ACTS), chosen, to, None, note, snooze_s)


@router.post("/alerts/review")
def review_many(
    request: Request,
    site: SiteOf,
    actor: Reviewer,
    action: Line,
    chosen: Annotated[list[str] | None, Form()] = None,
    reason: Line = "",
    note: Text = "",
    to: Text = "/alerts",
) -> Response:
    """Confirm, dismiss or merge what was ticked."""
    if action == AlertAction.MERGE:
        into, *others = _seen(chosen)
        desk_of(site).merge(actor, into, others, note)
        return RedirectResponse(f"/alerts/{into.alert_id}", 303)
    return _bulk(request, site, actor, _one_of(action, REVIEWS), chosen, to, reason, note, None)


def _bulk(
    request: Request, site: Site, actor: Actor, action: AlertAction, chosen: list[str] | None,
    to: str, reason: str | None, note: str, snooze_s: int | None,
) -> Response:  # fmt: skip
    outcomes = desk_of(site).act_on_many(
        actor, _seen(chosen), action, reason=reason, note=note, snooze_s=snooze_s
    )
    failed = [outcome for outcome in outcomes if outcome.problem is not None]
    if not failed:
        return back(to, "/alerts")
    return site.page(
        request, "alerts_done.html", status_code=409, failed=failed,
        done=len(outcomes) - len(failed), to=to,
    )  # fmt: skip


def _seen(chosen: list[str] | None) -> list[Seen]:
    """Read ``id:version`` of the ticked rows; raises RuleError."""
    found = []
    for text in chosen or ():
        parts = text.split(":")
        if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
            raise RuleError("a ticked row is not readable: reload the page")
        found.append(Seen(int(parts[0]), int(parts[1])))
    if not found:
        raise RuleError("nothing was ticked")
    return found


def _one_of(action: str, allowed: frozenset[AlertAction]) -> AlertAction:
    if action not in {known.value for known in allowed}:
        raise RuleError("this form does not know that action")
    return AlertAction(action)


# -- what is done with one ------------------------------------------------------------------------


@router.post("/alerts/{alert_id}/act")
def act(
    site: SiteOf,
    actor: Officer,
    alert_id: AlertId,
    version: Version,
    action: Line,
    snooze_s: Annotated[int, Form(ge=0, le=86_400)] = 0,
    note: Text = "",
) -> Response:
    """Acknowledge, snooze, wake or note one alert, or take one's own last action back."""
    seen = Seen(alert_id, version)
    if action == AlertAction.UNDO:
        desk_of(site).undo(actor, seen)
    else:
        desk_of(site).act(actor, seen, _one_of(action, ACTS), note=note, snooze_s=snooze_s)
    return RedirectResponse(f"/alerts/{alert_id}", 303)


@router.post("/alerts/{alert_id}/review")
def review(
    site: SiteOf,
    actor: Reviewer,
    alert_id: AlertId,
    version: Version,
    action: Line,
    reason: Line = "",
    note: Text = "",
    device: Line = "",
) -> Response:
    """Confirm, dismiss or close one alert, or take it or a device out of it."""
    seen = Seen(alert_id, version)
    if action == AlertAction.SPLIT:
        made = (
            desk_of(site).split_device(actor, seen, device, note)
            if device
            else desk_of(site).split(actor, seen, note)
        )
        return RedirectResponse(f"/alerts/{made.id}", 303)
    desk_of(site).act(actor, seen, _one_of(action, REVIEWS), reason=reason, note=note)
    return RedirectResponse(f"/alerts/{alert_id}", 303)


@router.post("/alerts/{alert_id}/detections")
def support(
    site: SiteOf,
    actor: Reviewer,
    alert_id: AlertId,
    version: Version,
    detection: Annotated[str, Form(max_length=120)],
    further: Annotated[int, Form(ge=1, le=_MAX_ID)],
    note: Text = "",
) -> Response:
    """Let a detection (``device/id``) of this alert support a further one."""
    device, _, name = detection.partition("/")
    try:
        chosen = device, bytes.fromhex(name)
    except ValueError:
        raise RuleError("choose one of the detections of this alert") from None
    desk_of(site).support(actor, Seen(alert_id, version), chosen, further, note)
    return RedirectResponse(f"/alerts/{alert_id}", 303)


# -- one alert ------------------------------------------------------------------------------------


@router.get("/alerts/{alert_id}")
def alert(request: Request, site: SiteOf, actor: Reader, alert_id: AlertId) -> HTMLResponse:
    """One alert: why, what else it might have been, and the signed message behind it."""
    row = _alert(site, actor, alert_id)
    presenter = site.presenter(request)
    view = alert_json(row)
    rows = site.store.detections_of(alert_id)
    supports = site.store.supported_by([(d.device, d.detection_id) for d in rows])
    detections = [
        {
            **presenter.detection(detection_json(d)),
            "key": f"{d.device}/{d.detection_id.hex()}",
            "raised": d.alert_id,
            "supports": [n for n in supports.get((d.device, d.detection_id), ()) if n != alert_id],
        }
        for d in rows
    ]
    lead = next((d for d in detections if (d["device"], d["seq"]) == (row.device, row.seq)), None)
    decision = site.store.decision(row.device, row.seq)
    message = site.store.message(row.device, row.seq)
    return site.page(
        request,
        "alert.html",
        alert=presenter.alert(view),
        **_work(site, presenter, actor, row),
        latency_ms=view["latency_ms"],
        lead=lead,
        detections=detections,
        decision=None if decision is None else presenter.decision(decision_json(decision)),
        face=None if decision is None else decision.body["face"],
        message=None if message is None else _message(site, presenter, message),
    )


def _alert(site: Site, actor: Actor, alert_id: int) -> AlertRow:
    """Return an alert of the reader's areas; what lies elsewhere is not there."""
    row = site.store.alert(alert_id)
    if row is None or not actor.covers(row.area):
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
    row = _alert(site, actor, alert_id)
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


def _work(site: Site, presenter: Presenter, actor: Actor, row: AlertRow) -> dict[str, Any]:
    """Return the history of an alert, what belongs to it, and the words of its forms."""
    words, events = presenter.words, site.store.alert_events(row.id)
    newest = max(events, key=lambda event: event.version, default=None)
    history = [
        {
            "at_text": presenter.time(time_or_none(event.at)),
            "actor": event.actor,
            "action_text": words.word("action", event.action),
            "state_text": words.word("state", event.to_state),
            "reason_text": (
                "" if event.reason_code is None else words.word("code", event.reason_code)
            ),
            "role_text": words.word("role", event.data["role"]) if "role" in event.data else "",
            "note": event.note,
        }
        for event in events
    ]
    merged = [presenter.alert(alert_json(one)) for one in site.store.merged_alerts(row.id)]
    return {
        "history": history,
        "merged": merged,
        "cases": site.store.cases_of_alert(row.id),
        "is_open": row.state in {state.value for state in OPEN},
        "reasons": [code.value for code in ReasonCode],
        "snoozes": SNOOZES_S,
        "may_undo": newest is not None
        and (newest.actor, newest.version) == (actor.name, row.version)
        and newest.action in UNDOABLE
        and site.clock.wall() - newest.at <= UNDO_S * 1_000_000,
    }
