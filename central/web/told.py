"""What a page says when something is not done: who was faster, what the rule is, where to go on."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from central.alert_states import RuleError
from central.alert_work import NotCoveredError, StaleError, UnknownError
from central.allow import AllowanceError
from central.orders.kinds import OrderRefusedError
from central.orders.officers import OfficerError
from central.units.bounds import OtherUnitError
from central.web.site import site_of

STATUS: dict[type[Exception], tuple[int, str]] = {
    StaleError: (409, "stale"),
    RuleError: (422, "rule"),
    AllowanceError: (422, "rule"),
    OrderRefusedError: (422, "rule"),
    OfficerError: (422, "rule"),
    NotCoveredError: (403, "area"),
    OtherUnitError: (403, "unit"),
    UnknownError: (404, "unknown"),
}
"""Status and headline of each kind; the headline is a word of the catalogue (``told``)."""


def install(app: FastAPI) -> None:
    """Let the application answer these errors."""
    for kind in STATUS:
        app.add_exception_handler(kind, _told)


def local_path(path: str | None, otherwise: str) -> str:
    """Return a path of this site; what leads elsewhere is not followed."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return otherwise
    parts = urlsplit(path)
    is_plain = not parts.scheme and not parts.netloc and path.isprintable()
    return path if is_plain else otherwise


def back(path: str, otherwise: str) -> RedirectResponse:
    """Go back to where a form was."""
    return RedirectResponse(local_path(path, otherwise), 303)


def _told(request: Request, error: Exception) -> Response:
    status, headline = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if request.url.path.startswith("/api/"):
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": str(error),
        }
        return JSONResponse(problem, status, media_type="application/problem+json")
    site = site_of(request)
    words = site.words(request)
    sentence = ""
    if isinstance(error, StaleError):
        sentence = (
            words.text("{by} did: {action}. The state is now: {state}.")
            .replace("{by}", error.by)
            .replace("{action}", words.word("action", error.action))
            .replace("{state}", words.word("state", error.state))
        )
    if isinstance(error, OrderRefusedError):
        sentence = words.word("order_reason", error.reason)
    referer = urlsplit(request.headers.get("referer", ""))
    to = local_path(referer.path + (f"?{referer.query}" if referer.query else ""), "/")
    return site.page(
        request,
        "told.html",
        status_code=status,
        headline=words.word("told", headline),
        sentence=sentence,
        detail=str(error),
        to=to,
    )
