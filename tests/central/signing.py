"""People who are signed in: a client or a browser's cookie for whatever roles a test needs."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import httpx
from fastapi import FastAPI
from playwright._impl._api_structures import SetCookieParam

from central.actor import Role
from central.people.desk import SECOND_US, Visitor, hash_token
from central.store import people as stored
from central.store.people import Session
from central.web.site import Site
from tests.central.in_process import InProcess

COUNTRY = frozenset({"000000"})
BASE = "http://127.0.0.1:8470"


def site_of_app(app: FastAPI) -> Site:
    """The site behind an application."""
    site = app.state.site
    assert isinstance(site, Site)
    return site


def sign_in(
    app: FastAPI,
    name: str = "tester",
    roles: Iterable[Role] = Role,
    areas: Iterable[str] = COUNTRY,
    *,
    is_strong: bool = True,
    unit: str = "",
) -> tuple[str, Visitor]:
    """Make a person with these roles (or take the known one); returns the session's cookie."""
    site = site_of_app(app)
    if site.store.person(name) is None:
        site.people.create(name, roles, areas, unit=unit)
    now, cookie = site.clock.wall(), secrets.token_urlsafe(16)
    session = Session(
        hashed=hash_token(cookie),
        person=name,
        csrf=secrets.token_urlsafe(16),
        created_at=now,
        seen_at=now,
        expires_at=now + 12 * 3600 * SECOND_US,
        is_strong=is_strong,
        client="test",
    )
    with site.store.transaction() as tx:
        stored.add_session(tx._connection, session)  # type: ignore[attr-defined]
    visitor = site.people.visitor(cookie)
    assert visitor is not None
    return cookie, visitor


def client_as(
    app: FastAPI,
    name: str = "tester",
    roles: Iterable[Role] = Role,
    areas: Iterable[str] = COUNTRY,
    **options: Any,
) -> httpx.Client:
    """A client signed in as somebody; its forms and scripts carry the session's token."""
    cookie, visitor = sign_in(app, name, roles, areas, **options)
    return httpx.Client(
        transport=InProcess(app),
        base_url=BASE,
        cookies={"session": cookie},
        headers={"x-csrf-token": visitor.csrf},
    )


def browser_cookie(app: FastAPI, url: str, **who: Any) -> SetCookieParam:
    """A cookie for ``browser_context.add_cookies([...])``."""
    cookie, _ = sign_in(app, **who)
    return SetCookieParam(name="session", value=cookie, url=url)
