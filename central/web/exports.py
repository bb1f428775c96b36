"""Rows to take away as CSV or XLSX, and the metrics for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from central import metrics
from central.actor import Actor
from central.exports import Row, csv_chunks, xlsx
from central.people.permissions import Permission
from central.views import alert_json, device_json, time_or_none
from central.web.access import needs
from central.web.problems import PROBLEMS
from central.web.site import Site, SiteOf

router = APIRouter(prefix="/api", responses=PROBLEMS)

MAX_ROWS = 100_000
_PAGE = 1000
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Form = Literal["csv", "xlsx"]
MaxRows = Annotated[int, Query(ge=1, le=MAX_ROWS)]
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows as a file.",
        "content": {"text/csv": {"schema": {"type": "string"}}, _XLSX: {}},
    }
}

_ALERT_COLUMNS = ("id", "kind", "level", "severity", "state", "subject", "rules", "device", "count")
_ALERT_TIMES = ("first_seen", "last_seen", "raised_at", "updated_at")
_DEVICE_COLUMNS = (
    *("device", "kind", "name", "version", "presence", "last_seen", "worst_part", "outbox_depth"),
    *("enrolled_at", "revoked_at", "receipt_up_to", "duplicates", "refused"),
)
_AUDIT_COLUMNS = (
    *("seq", "at", "actor", "roles", "action", "subject", "outcome", "detail", "prev", "digest"),
)


def _text(value: Any) -> str | int | float | None:
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def file_answer(name: str, form: Form, header: Iterable[str], rows: Iterable[Row]) -> Response:
    """Answer with rows as a file."""
    disposition = {"content-disposition": f'attachment; filename="{name}.{form}"'}
    if form == "xlsx":
        return Response(xlsx(name, list(header), rows), media_type=_XLSX, headers=disposition)
    chunks = csv_chunks(list(header), rows)
    return StreamingResponse(chunks, media_type="text/csv", headers=disposition)


def noted(site: Site, actor: Actor, what: str, form: Form) -> None:
    """Put an export into the audit log."""
    site.audit.note(actor, "export", what, detail={"form": form})


@router.get("/exports/alerts.{form}", response_class=Response, responses=FILE)
def alerts(
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.EXPORT)],
    form: Form,
    limit: MaxRows = 10_000,
) -> Response:
    """Alerts, the newest first."""
    noted(site, actor, "alerts", form)
    columns = (*_ALERT_COLUMNS, *_ALERT_TIMES)

    def rows() -> Iterator[Row]:
        before, left = None, limit
        while left > 0:
            page = site.store.alerts(min(_PAGE, left), before, actor.areas)
            for row in page:
                view = alert_json(row)
                yield [_text(view[name]) for name in columns]
            if len(page) < _PAGE:
                return
            before, left = page[-1].id, left - len(page)

    return file_answer("alerts", form, columns, rows())


@router.get("/exports/devices.{form}", response_class=Response, responses=FILE)
def devices(
    site: SiteOf, actor: Annotated[Actor, needs(Permission.DEVICES_READ)], form: Form
) -> Response:
    """All devices."""
    noted(site, actor, "devices", form)
    reach = site.reach(actor)
    views = [device_json(row) for row in site.store.devices() if reach.covers_device(row)]
    rows = [[_text(view[name]) for name in _DEVICE_COLUMNS] for view in views]
    return file_answer("devices", form, _DEVICE_COLUMNS, rows)


@router.get("/exports/audit.{form}", response_class=Response, responses=FILE)
def audit(
    site: SiteOf, actor: Annotated[Actor, needs(Permission.AUDIT_READ)], form: Form
) -> Response:
    """The whole audit log from its first row."""
    noted(site, actor, "audit", form)

    def rows() -> Iterator[Row]:
        for row in site.store.audit_chain():
            yield [
                time_or_none(row.at) if name == "at" else _text(getattr(row, name))
                for name in _AUDIT_COLUMNS
            ]

    return file_answer("audit", form, _AUDIT_COLUMNS, rows())


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def prometheus(site: SiteOf, actor: Annotated[Actor, needs(Permission.METRICS_READ)]) -> Response:
    """Metrics in the text format of Prometheus; a scraper shows a program's key."""
    found = metrics.of_central(
        site.store.totals(),
        site.store.devices(),
        None if site.ingest_status is None else site.ingest_status(),
        site.hub.listeners,
        site.store.audit_head()[0],
    )
    return Response(metrics.text_of(found), headers={"content-type": metrics.CONTENT_TYPE})
