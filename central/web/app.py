"""The web application: routes, error answers, middleware."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from central.audit import AuditLog
from central.config import CentralSettings
from central.dispatch_desk import Tell
from central.hub import Hub
from central.ingest import IngestStatus
from central.lists import ListDesk
from central.lists.keys import desk_in
from central.lists.rotation import KeyDesk, key_desk_in
from central.orders.office import OrderOffice
from central.people.desk import PeopleDesk
from central.store.interface import StoreUnavailableError
from central.store.sql import SqlStore
from central.units.outreach import OutreachDesk, outreach_in
from central.web import (
    account,
    alerts,
    allow,
    api,
    cases,
    chart,
    clocks,
    dispatch,
    exports,
    features,
    fleet,
    intake,
    key_pages,
    list_pages,
    number_pages,
    office,
    officers,
    order,
    orders,
    outreach_pages,
    outside,
    pages,
    passkeys,
    refunds,
    reports,
    stream,
    told,
    unit_pages,
)
from central.web.access import NotSignedInError, rules
from central.web.counts import Counts
from central.web.limits import Limiter
from central.web.security import LOCAL_NAMES, BodyLimit, SecurityHeaders
from central.web.site import STATIC, Site, site_of
from central.webhooks import Courier
from contract.clock import Clock, SystemClock
from contract.keys import KeySigner


def create_app(
    store: SqlStore,
    hub: Hub,
    settings: CentralSettings,
    ingest_status: Callable[[], IngestStatus] | None = None,
    *,
    clock: Clock | None = None,
    signer: KeySigner | None = None,
    couriers: tuple[Courier, ...] = (),
    tell_van: Tell | None = None,
    lists: ListDesk | None = None,
    keys: KeyDesk | None = None,
    outreach: OutreachDesk | None = None,
    order_office: OrderOffice | None = None,
) -> FastAPI:
    """Return the application; raises UndeclaredRouteError for a route without a permission."""
    clock = clock or SystemClock()
    app = FastAPI(
        title="Qianshao",
        docs_url=None,  # both would fetch their scripts from another site
        redoc_url=None,
        openapi_url=None,  # `api.openapi` asks who wants it
    )
    people = PeopleDesk(
        store, clock, settings.folder, needs_second_factor=settings.needs_second_factor
    )
    audit = AuditLog(store, clock, signer)
    sign_ins = Limiter(clock, burst=20, per_minute=20)
    lists = lists or desk_in(settings, store, clock)
    keys = keys or key_desk_in(settings, store, clock)
    outreach = outreach or outreach_in(settings, store, clock)
    site = Site(
        store=store,
        hub=hub,
        settings=settings,
        ingest_status=ingest_status,
        people=people,
        audit=audit,
        clock=clock,
        sign_ins=sign_ins,
        counts=Counts(store, clock),
        lists=lists,
        keys=keys,
        outreach=outreach,
        couriers=couriers,
        tell_van=tell_van,
        orders=order_office,
    )
    app.state.site = site
    for module in (
        *(pages, alerts, allow, intake, cases, clocks, outside, dispatch, refunds, fleet),
        *(chart, reports, office, account, passkeys, orders, order, officers),
        *(list_pages, key_pages, number_pages, unit_pages, outreach_pages),
        *(api, features, exports, stream),
    ):
        app.include_router(module.router)
    app.include_router(intake.api)
    app.include_router(refunds.api)
    app.include_router(reports.api)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(StoreUnavailableError, _no_store)
    app.add_exception_handler(NotSignedInError, _not_signed_in)
    told.install(app)
    site.paths.update(rule.path for rule in rules(app))
    app.add_middleware(BodyLimit)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_hosts(settings), www_redirect=False)
    app.add_middleware(SecurityHeaders)  # outermost: its headers are on refusals too
    return app


def _hosts(settings: CentralSettings) -> list[str]:
    """Host headers that are answered: with TLS also the names that stand in the configuration."""
    if settings.http_tls is None:
        return list(LOCAL_NAMES)
    return [*LOCAL_NAMES, *(f"[{name}]" if ":" in name else name for name in settings.names)]


def _answer(request: Request, status: int, detail: str) -> Response:
    """Problem details (RFC 9457) for programs, a page for people."""
    title = HTTPStatus(status).phrase
    if request.url.path.startswith("/api/"):
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        return JSONResponse(problem, status, media_type="application/problem+json")
    return site_of(request).page(
        request, "error.html", status_code=status, status=status, title=title, detail=detail
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, str(error.detail))


def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = [".".join(str(part) for part in e["loc"]) + ": " + e["msg"] for e in error.errors()]
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(places))


def _not_signed_in(request: Request, error: Exception) -> Response:
    is_page = request.method == "GET" and not request.url.path.startswith(("/api/", "/events"))
    if is_page:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", HTTPStatus.SEE_OTHER)
    answer = _answer(request, HTTPStatus.UNAUTHORIZED, "sign in first: nobody is, or no longer")
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def _no_store(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailableError)
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "the store is not available now")
