"""What every route needs: the store, the hub, the settings, the words and the templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import jinja2
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from central.actor import Actor
from central.audit import AuditLog
from central.config import CentralSettings
from central.dispatch_desk import Tell
from central.hub import Hub
from central.ingest import IngestStatus
from central.lists import ListDesk
from central.lists.rotation import KeyDesk
from central.orders.office import OrderOffice
from central.people.desk import PeopleDesk, Visitor
from central.people.permissions import Permission, may
from central.store.sql import SqlStore
from central.units.outreach import OutreachDesk
from central.web.counts import Called, Counts
from central.web.limits import Limiter
from central.web.navigation import ENTRIES, Entry, grouped
from central.web.present import Presenter
from central.web.reach import Reach
from central.web.words import Language, Words, choose, named, read_catalogues
from central.webhooks import Courier
from contract.clock import Clock

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
VENDOR = STATIC / "vendor"
"""Libraries of others, fetched by make setup; nothing of them is in the repository."""
_COOKIE = "lang"
_COOKIE_AGE_S = 365 * 24 * 3600


def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class Site:
    """Parts of one running central that its pages use."""

    store: SqlStore
    hub: Hub
    settings: CentralSettings
    ingest_status: Callable[[], IngestStatus] | None
    people: PeopleDesk
    audit: AuditLog
    clock: Clock
    sign_ins: Limiter
    counts: Counts
    lists: ListDesk
    keys: KeyDesk
    outreach: OutreachDesk
    couriers: tuple[Courier, ...] = ()
    tell_van: Tell | None = None
    """Gives a van an order; None: there is no broker."""
    orders: OrderOffice | None = None
    """Draws up and carries out orders; None: there is no broker."""
    paths: set[str] = field(default_factory=set)
    """Pages that exist, for navigation."""
    catalogues: dict[Language, Words] = field(default_factory=read_catalogues)
    templates: jinja2.Environment = field(default_factory=_templates)

    def words(self, request: Request) -> Words:
        """Words in the language that the request asks for."""
        return self.catalogues[
            choose(
                request.query_params.get("lang"),
                request.cookies.get(_COOKIE),
                request.headers.get("accept-language"),
            )
        ]

    def presenter(self, request: Request) -> Presenter:
        """Language and clock of one reader."""
        return Presenter(self.words(request), self.settings.utc_offset_minutes)

    def reach(self, actor: Actor) -> Reach:
        """Return what a person may see."""
        return Reach(actor, self.settings.area)

    def page(
        self, request: Request, name: str, /, *, status_code: int = 200, **context: Any
    ) -> HTMLResponse:
        """Render a template; a language asked for by name is remembered."""
        presenter = self.presenter(request)
        html = self.templates.get_template(name).render(
            path=request.url.path,
            words=presenter.words,
            presenter=presenter,
            _=presenter.words.text,
            languages=[(Language.ZH_CN, "中文"), (Language.EN, "English")],
            utc_offset_minutes=self.settings.utc_offset_minutes,
            trouble=self._trouble(presenter.words),
            **self._of_visitor(request),
            **context,
        )
        response = HTMLResponse(html, status_code=status_code)
        response.headers["content-language"] = presenter.words.language.value
        asked = named(request.query_params.get("lang"))
        if asked is not None:
            response.set_cookie(
                _COOKIE, asked.value, max_age=_COOKIE_AGE_S, httponly=True, samesite="lax"
            )
        return response

    def entries(self, actor: Actor | None) -> list[Entry]:
        """Pages that a person may open, in the order of the navigation."""
        if actor is None:
            return []
        return [e for e in ENTRIES if e.path in self.paths and may(actor, e.permission)]

    def home(self, actor: Actor) -> str:
        """First page of a person."""
        entries = self.entries(actor)
        return entries[0].path if entries else "/account"

    def _of_visitor(self, request: Request) -> dict[str, Any]:
        """What every template may ask of whoever looks at it."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        actor = None if visitor is None else visitor.actor
        session = None if visitor is None else visitor.session
        is_broken = session is not None and session.broken_until > self.clock.wall()
        is_in = visitor is not None and visitor.is_strong
        return {
            "visitor": visitor,
            "actor": actor,
            "csrf_field": _csrf_field("" if visitor is None else visitor.csrf),
            "csrf_token": "" if visitor is None else visitor.csrf,
            "menus": grouped(self.entries(actor if is_in else None)),
            "home": "/" if actor is None else self.home(actor),
            "may": lambda permission: actor is not None and may(actor, permission),
            "called": self._called(visitor),
            "broken_reason": session.broken_reason if session is not None and is_broken else "",
        }

    def _called(self, visitor: Visitor | None) -> Called | None:
        """Return the alerts that wait for whoever looks, for every page to say."""
        if visitor is None or not visitor.is_strong:
            return None
        is_reader = may(visitor.actor, Permission.ALERTS_READ)
        return self.counts.called(visitor.actor) if is_reader else None

    def _trouble(self, words: Words) -> list[str]:
        """What is wrong with the central itself, for every page to say."""
        status = None if self.ingest_status is None else self.ingest_status()
        if status is None:
            return []
        trouble = []
        if status.store_problem is not None:
            trouble.append(
                words.text("The store cannot be written: nothing new is taken until it can.")
                + f" ({status.store_problem})"
            )
        if not status.is_connected:
            trouble.append(
                words.text("No connection to the broker: devices keep what they have to say.")
            )
        return trouble


def _csrf_field(token: str) -> Markup:
    """Hidden field that every form of a page carries: ``{{ csrf_field }}``."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(token)


def site_of(request: Request) -> Site:
    """Return the site that answers a request."""
    return cast(Site, request.app.state.site)


SiteOf = Annotated[Site, Depends(site_of)]
