"""Signing in and out, and one's own account: password, second factor, sessions, broken glass."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Annotated, Any
from urllib.parse import urlsplit

import segno
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from central.actor import Actor
from central.people import passwords
from central.people.desk import ABSOLUTE_S, SignInError, Visitor
from central.people.passwords import MAX_LENGTH, RefusedError, WeakPasswordError
from central.people.permissions import Permission
from central.views import time_or_none
from central.web.access import (
    check_origin,
    cookie_name,
    needs,
    needs_account,
    public,
    visitor_of,
)
from central.web.passkeys import own_passkeys
from central.web.site import Site, SiteOf

router = APIRouter(include_in_schema=False)

_SEE_OTHER = 303
_ISSUER = "Qianshao"
Name = Annotated[str, Form(max_length=100)]
Secret = Annotated[str, Form(max_length=MAX_LENGTH)]
Code = Annotated[str, Form(max_length=12)]
Own = Annotated[Actor, needs_account()]


def _client(request: Request) -> str:
    host = "" if request.client is None else request.client.host
    return f"{host} {request.headers.get('user-agent', '')[:120]}".strip()


def _said(request: Request, site: Site, error: RefusedError) -> str:
    words = site.words(request)
    return words.word("problem", error.problem).replace("{n}", str(error.number))


def _local(path: str | None, otherwise: str) -> str:
    """Return a path of this site; what leads elsewhere is not followed."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return otherwise
    parts = urlsplit(path)
    is_plain = not parts.scheme and not parts.netloc and path.isprintable()
    return path if is_plain else otherwise


def _enter(request: Request, site: Site, cookie: str, next_path: str | None) -> Response:
    visitor = site.people.visitor(cookie)
    assert visitor is not None  # it was opened just now
    home = site.home(visitor.actor) if visitor.is_strong else "/account"
    target = _local(next_path, home) if visitor.is_strong else "/account"
    response = RedirectResponse(target, _SEE_OTHER)
    response.set_cookie(
        cookie_name(request),
        cookie,
        max_age=ABSOLUTE_S,
        path="/",
        httponly=True,
        secure=request.url.scheme == "https",
        samesite="lax",
    )
    return response


@router.get("/sign-in", dependencies=[public()])
def sign_in_form(
    request: Request, site: SiteOf, next: Annotated[str | None, Query(max_length=500)] = None
) -> Response:
    """Ask for name, password and code."""
    return site.page(request, "sign_in.html", next_path=_local(next, ""), problem="", name="")


@router.post("/sign-in", dependencies=[public()])
def sign_in(
    request: Request,
    site: SiteOf,
    name: Name,
    password: Secret,
    code: Code = "",
    next: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Open a session, or say in one word that it was not right."""
    check_origin(request)
    _limit(request, site)
    try:
        cookie = site.people.sign_in(name.strip(), password, code.strip(), _client(request))
    except SignInError as error:
        return site.page(
            request,
            "sign_in.html",
            status_code=403,
            next_path=_local(next, ""),
            problem=_said(request, site, error),
            name=name,
        )
    return _enter(request, site, cookie, next)


def _limit(request: Request, site: Site) -> None:
    host = "" if request.client is None else request.client.host
    wait_s = site.sign_ins.wait_s(host)
    if wait_s:
        raise HTTPException(
            429, f"too many tries from this address: wait {wait_s} s", {"retry-after": str(wait_s)}
        )


@router.get("/sign-in/link/{token}", dependencies=[public()])
def follow_link(request: Request, site: SiteOf, token: str) -> Response:
    """Sign in by a link that a terminal printed; it works once."""
    _limit(request, site)
    try:
        cookie = site.people.follow_link(token, _client(request))
    except SignInError as error:
        raise HTTPException(403, str(error)) from error
    return _enter(request, site, cookie, None)


@router.post("/sign-out")
def sign_out(request: Request, site: SiteOf, actor: Own) -> Response:
    """End this session."""
    site.people.sign_out(_visitor(request))
    response = RedirectResponse("/sign-in", _SEE_OTHER)
    response.delete_cookie(cookie_name(request), path="/")
    return response


def _visitor(request: Request) -> Visitor:
    visitor = visitor_of(request)
    assert visitor is not None  # the route asked for an actor
    return visitor


@router.get("/account")
def account(request: Request, site: SiteOf, actor: Own) -> Response:
    """One's own account."""
    return _account(request, site)


def _account(
    request: Request,
    site: Site,
    *,
    problem: str = "",
    secret: bytes | None = None,
    status_code: int = 200,
) -> Response:
    visitor = _visitor(request)
    person, now = visitor.person, site.clock.wall()
    presenter = site.presenter(request)
    context: dict[str, Any] = {
        "person": person,
        "problem": problem,
        "sessions": [
            {
                "id": s.hashed,
                "client": s.client,
                "seen_text": presenter.time(time_or_none(s.seen_at)),
                "is_this": visitor.session is not None and s.hashed == visitor.session.hashed,
            }
            for s in site.people.open_sessions(person.name)
        ],
        "broken_until_text": "",
        **own_passkeys(site, visitor),
    }
    if visitor.session is not None and visitor.session.broken_until > now:
        until = time_or_none(visitor.session.broken_until)
        context["broken_until_text"] = presenter.time(until)
    if person.second_factor is None:
        fresh = secret or passwords.new_secret()
        context["secret"] = base64.b32encode(fresh).decode("ascii")
        context["secret_text"] = passwords.spell(fresh)
        context["qr"] = _qr(passwords.key_uri(fresh, person.name, _ISSUER))
    return site.page(request, "account.html", status_code=status_code, **context)


def _qr(text: str) -> Markup:
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=5, border=3, dark="#000", light="#fff", xmldecl=False, svgns=False
    )
    return Markup(out.getvalue().decode("ascii"))  # noqa: S704 - drawn here, from a path's numbers


@router.post("/account/second-factor")
def second_factor(
    request: Request,
    site: SiteOf,
    actor: Own,
    secret: Annotated[str, Form(max_length=64)],
    code: Code,
) -> Response:
    """Take a new authenticator after one right code."""
    visitor = _visitor(request)
    if visitor.person.second_factor is not None:
        raise HTTPException(409, "there is a second factor already: an administrator can reset it")
    try:
        raw = base64.b32decode(secret)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, "the form was damaged: reload the page") from error
    if len(raw) < 16:  # RFC 4226 section 4, requirement 6
        raise HTTPException(422, "the form was damaged: reload the page")
    try:
        site.people.enrol_second_factor(visitor, raw, code.strip())
    except SignInError as error:
        return _account(
            request, site, problem=_said(request, site, error), secret=raw, status_code=403
        )
    return RedirectResponse("/account", _SEE_OTHER)


@router.post("/account/password")
def change_password(
    request: Request, site: SiteOf, actor: Own, old: Secret, new: Secret
) -> Response:
    """Change one's own password; every other session ends."""
    visitor = _visitor(request)
    _limit(request, site)
    hashed = visitor.person.password
    if hashed is not None and not passwords.verify_password(hashed, old):
        return _account(
            request, site, problem=site.words(request).word("problem", "old"), status_code=403
        )
    keep = "" if visitor.session is None else visitor.session.hashed
    try:
        site.people.set_password(actor.name, new, by=actor, keep=keep)
    except WeakPasswordError as error:
        return _account(request, site, problem=_said(request, site, error), status_code=422)
    return RedirectResponse("/account", _SEE_OTHER)


@router.post("/account/sessions/end")
def end_session(
    request: Request, site: SiteOf, actor: Own, session: Annotated[str, Form(max_length=64)]
) -> Response:
    """End another of one's sessions."""
    site.people.sign_out(_visitor(request), session)
    return RedirectResponse("/account", _SEE_OTHER)


@router.post("/account/break-glass")
def break_glass(
    request: Request,
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.BREAK_GLASS)],
    reason: Annotated[str, Form(max_length=500)],
) -> Response:
    """Act beyond one's areas for half an hour, with a reason that the audit log keeps."""
    try:
        site.people.break_glass(_visitor(request), reason)
    except SignInError as error:
        return _account(request, site, problem=_said(request, site, error), status_code=422)
    return RedirectResponse("/account", _SEE_OTHER)
