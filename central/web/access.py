"""Who may call a route. A route that says nothing is not served: default deny.

A route asks for one permission and gets the person who has it::

    @router.get("/alerts")
    def alerts(request: Request, site: SiteOf,
               actor: Annotated[Actor, needs(Permission.ALERTS_READ)]) -> HTMLResponse: ...

Everything that changes something must come from this site's own pages: by what the browser says of
its origin, and by the token that every form of a session carries (``parts.csrf`` in templates, the
header ``x-csrf-token`` in scripts). Programs show ``Authorization: Bearer KEY`` and need no token.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.routing import Mount

from central.actor import Actor, Role
from central.audit import REFUSED
from central.people.desk import Visitor
from central.people.permissions import PERMISSIONS, Permission, may
from central.web.site import site_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
COOKIE, SECURE_COOKIE = "session", "__Host-session"
"""Over TLS the browser itself keeps the second from other hosts and plain connections."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class NotSignedInError(Exception):
    """Nobody is signed in: a page sends to the sign-in, the API says 401."""


class UndeclaredRouteError(Exception):
    """A route that does not say who may call it."""


@dataclass(frozen=True, slots=True)
class _Public:
    """Marks a route that anybody may call; what it changes it must guard itself."""

    async def __call__(self, request: Request) -> None:
        await _know_visitor(request)


@dataclass(frozen=True, slots=True)
class _Needs:
    permission: Permission
    is_weak_enough: bool = False

    async def __call__(self, request: Request) -> Actor:
        visitor = await _know_visitor(request)
        if visitor is None:
            raise NotSignedInError
        if request.method not in SAFE_METHODS:
            await _check_own_page(request, visitor)
        if not visitor.is_strong and not self.is_weak_enough:
            raise HTTPException(403, "a second factor is needed first: see your account page")
        if not may(visitor.actor, self.permission):
            await run_in_threadpool(_note_refusal, request, visitor, self.permission)
            raise HTTPException(403, f"your roles do not include: {self.permission.value}")
        return visitor.actor


def needs(permission: Permission) -> Any:
    """Let in whoever has the permission; the parameter is their :class:`Actor`."""
    return Depends(_Needs(permission))


def needs_account() -> Any:
    """Let in anybody who is signed in, with or without a second factor, to their own account."""
    return Depends(_Needs(Permission.ACCOUNT, is_weak_enough=True))


def public() -> Any:
    """Let in anybody."""
    return Depends(_Public())


def visitor_of(request: Request) -> Visitor | None:
    """Return who is signed in, as far as a dependency of the route has looked."""
    found: Visitor | None = getattr(request.state, "visitor", None)
    return found


def cookie_name(request: Request) -> str:
    """Name of the session's cookie under this request's scheme."""
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


async def _know_visitor(request: Request) -> Visitor | None:
    if not hasattr(request.state, "visitor"):
        request.state.visitor = await run_in_threadpool(find_visitor, request)
    return visitor_of(request)


def find_visitor(request: Request) -> Visitor | None:
    """Look up who sends a request, by its key or its cookie; None: nobody, or no longer."""
    desk = site_of(request).people
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return desk.program(key.strip())
    cookie = request.cookies.get(cookie_name(request))
    return None if cookie is None else desk.visitor(cookie)


def _note_refusal(request: Request, visitor: Visitor, permission: Permission) -> None:
    site_of(request).audit.note(
        visitor.actor,
        "access",
        request.url.path[:200],
        outcome=REFUSED,
        detail={"permission": permission.value, "method": request.method},
    )


# -- requests that change something ---------------------------------------------------------------


def check_origin(request: Request) -> None:
    """Refuse what another site's page sends; raises HTTPException.

    Every browser of today says where a request comes from (Fetch Metadata); a program says nothing.
    """
    origin = request.headers.get("origin")
    is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        is_ours = False
    if not is_ours:
        raise HTTPException(403, "this request came from another site's page")


async def _check_own_page(request: Request, visitor: Visitor) -> None:
    if visitor.session is None:
        return
    check_origin(request)
    shown = request.headers.get(CSRF_HEADER) or await _token_of_form(request)
    if not hmac.compare_digest(shown.encode(), visitor.csrf.encode()):
        raise HTTPException(403, "this form is not of your present session: reload the page")


async def _token_of_form(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith(_FORMS):
        return ""
    form: FormData = await request.form()  # Starlette keeps it for the route
    token = form.get(CSRF_FIELD)
    return token if isinstance(token, str) else ""


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call one route; no permission: anybody."""

    method: str
    path: str
    permission: Permission | None

    @property
    def roles(self) -> frozenset[Role]:
        """Roles that are let in; of a public route all."""
        return frozenset(Role) if self.permission is None else PERMISSIONS[self.permission]


def rules(app: FastAPI) -> list[Rule]:
    """Return the rule of every route; raises UndeclaredRouteError where one has none."""
    found: list[Rule] = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            continue  # files that anybody may have
        dependant = getattr(route, "dependant", None)
        calls = [] if dependant is None else _calls(dependant)
        markers = [call for call in calls if isinstance(call, _Needs | _Public)]
        if len(markers) != 1:
            raise UndeclaredRouteError(f"{route.path} names {len(markers)} permissions, not one")
        marker = markers[0]
        permission = marker.permission if isinstance(marker, _Needs) else None
        found += [
            Rule(method, str(route.path), permission) for method in sorted(route.methods or ())
        ]
    return sorted(found, key=lambda rule: (rule.path, rule.method))


def _calls(dependant: Dependant) -> list[Any]:
    calls: list[Any] = []
    for inner in dependant.dependencies:
        calls += [inner.call, *_calls(inner)]
    return calls
