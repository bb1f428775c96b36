"""The web application: routes, error answers, middleware."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from central.config import CentralSettings
from central.hub import Hub
from central.ingest import IngestStatus
from central.store.interface import Store, StoreUnavailableError
from central.web import api, pages, stream
from central.web.security import LOCAL_NAMES, SecurityHeaders
from central.web.site import STATIC, Site, site_of


def create_app(
    store: Store,
    hub: Hub,
    settings: CentralSettings,
    ingest_status: Callable[[], IngestStatus] | None = None,
) -> FastAPI:
    """Return the application; it serves loopback only until there is a login (`check_bind`)."""
    app = FastAPI(
        title="Qianshao",
        docs_url=None,  # both would fetch their scripts from another site
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.site = Site(store, hub, settings, ingest_status)
    app.include_router(pages.router)
    app.include_router(api.router)
    app.include_router(stream.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(StoreUnavailableError, _no_store)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_NAMES), www_redirect=False)
    app.add_middleware(SecurityHeaders)  # outermost: its headers are on refusals too
    return app


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


def _no_store(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailableError)
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "the store is not available now")
