"""The event stream of the live page (server-sent events)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from central.actor import Actor
from central.people.permissions import Permission
from central.store.interface import EventKind
from central.web.access import find_visitor, needs
from central.web.pages import snapshot_for
from central.web.present import Presenter
from central.web.reach import Reach
from central.web.site import Site, SiteOf

MAX_CATCH_UP = 500
"""A page that missed more gets the whole picture anew."""

_RETRY_MS = 2000
_HEARTBEAT = ": still here\n\n"
_SIGNED_OUT = "event: signed_out\ndata: {}\n\n"
_MAX_DIGITS = 18
_COUNT_EVERY_US = 2_000_000
"""An attack raises many alerts a second; its count need not be looked up as often."""

router = APIRouter(include_in_schema=False)


def frame(kind: str, event_id: int, data: Any) -> str:
    """One frame; JSON never holds a line break, so ``data`` is a single line."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event_id}\nevent: {kind}\ndata: {text}\n\n"


def resume_point(header: str | None, query: str | None) -> int | None:
    """Return the last event a page has seen, the header first; None: it has seen nothing."""
    for text in (header, query):
        if text and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
            return int(text)
    return None


@router.get("/events")
async def events(
    request: Request,
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.ALERTS_READ)],
    last_event_id: Annotated[str | None, Header()] = None,
    last: Annotated[str | None, Query()] = None,
) -> StreamingResponse:
    """Stream what happens: what was missed or a snapshot first, then live."""
    return StreamingResponse(
        _stream(
            site,
            request,
            site.presenter(request),
            site.reach(actor),
            resume_point(last_event_id, last),
        ),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _stream(
    site: Site, request: Request, presenter: Presenter, reach: Reach, seen: int | None
) -> AsyncIterator[str]:
    """Subscribe before reading the store, so that nothing falls between the two.

    An open page counts as asking, so that a desk that only watches is not signed out; but where the
    session has ended, so does the stream, and whose areas are others now sees by those.
    """
    subscription = site.hub.subscribe()
    heartbeat_us = site.settings.stream_heartbeat_s * 1_000_000
    asked = site.clock.mono()
    counted, is_count_due = -_COUNT_EVERY_US, True
    try:
        yield f"retry: {_RETRY_MS}\n\n"
        first, at = await run_in_threadpool(_first_frames, site, presenter, reach, seen)
        if first:
            yield first
        while True:
            if site.clock.mono() - asked >= heartbeat_us:
                asked = site.clock.mono()
                visitor = await run_in_threadpool(find_visitor, request)
                if visitor is None:
                    yield _SIGNED_OUT
                    return
                if visitor.actor.areas != reach.actor.areas:
                    reach = site.reach(visitor.actor)
            if is_count_due and site.clock.mono() - counted >= _COUNT_EVERY_US:
                counted, is_count_due = site.clock.mono(), False
                yield await run_in_threadpool(_counts, site, reach)
            wait_s = site.settings.stream_heartbeat_s
            try:
                event = await subscription.next(min(wait_s, 1.0) if is_count_due else wait_s)
            except TimeoutError:
                yield _HEARTBEAT
                continue
            if event is None:
                return
            if event.id > at:
                at = event.id
                if reach.is_whole or await run_in_threadpool(reach.covers_event, event, site.store):
                    is_count_due = is_count_due or event.kind is EventKind.ALERT
                    yield frame(event.kind.value, event.id, presenter.event(event))
    finally:
        site.hub.unsubscribe(subscription)


def _counts(site: Site, reach: Reach) -> str:
    """Return a frame with how many alerts are open; it has no id, for it is not of the store."""
    called = site.counts.called(reach.actor)
    found = {
        "open": site.counts.open(reach.actor.areas),
        "called": 0 if called is None else called.number,
        "oldest": None if called is None else called.oldest,
    }
    text = json.dumps(found)
    return f"event: counts\ndata: {text}\n\n"


def _first_frames(
    site: Site, presenter: Presenter, reach: Reach, seen: int | None
) -> tuple[str, int]:
    """Return what a page lacks and the event id it then stands at."""
    if seen is not None and seen <= site.store.last_event_id():
        missed = site.store.events_after(seen, MAX_CATCH_UP + 1)
        if len(missed) <= MAX_CATCH_UP:
            frames = [
                frame(e.kind.value, e.id, presenter.event(e))
                for e in missed
                if reach.covers_event(e, site.store)
            ]
            return "".join(frames), missed[-1].id if missed else seen
    snapshot = snapshot_for(site, reach)
    text = frame("snapshot", snapshot.last_event_id, presenter.snapshot(snapshot))
    return text, snapshot.last_event_id
