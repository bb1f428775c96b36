"""Whose key signs orders: the bundle in force, former ones, which machines have it, and changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.orders.officers import LIFE_DAYS, SIGNING_ROLES, Bundle, OfficerError, kid_of
from central.people.permissions import Permission
from central.web.access import needs
from central.web.orders import office_of
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from contract.words import OrderOutcome

SHOWN_BUNDLES = 10
MAX_PEM = 4000

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.OFFICERS_READ)]
Editor = Annotated[Actor, needs(Permission.OFFICERS_EDIT)]


@router.get("/officers")
def officers(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Officers, their keys, and where the bundle has arrived."""
    return _page(request, site)


def _page(
    request: Request, site: Site, *, problem: str = "", status: int = 200, pem: str = ""
) -> HTMLResponse:
    presenter = site.presenter(request)
    history = [] if site.orders is None else site.orders.officers.history(SHOWN_BUNDLES)
    now = site.clock.wall()
    newest = history[0].officers if history else ()
    return site.page(
        request,
        "officers.html",
        status_code=status,
        officers=[
            {
                "officer": entry.officer,
                "kid": kid_of(entry).hex(),
                "from_text": presenter.moment(entry.valid_from),
                "until_text": presenter.moment(entry.valid_until),
                "is_passkey": entry.credential_id is not None,
                "is_over": not entry.valid_from <= now < entry.valid_until,
            }
            for entry in newest
        ],
        bundles=[_bundle(site, presenter, bundle) for bundle in history],
        people=[
            person.name
            for person in site.store.people()
            if person.disabled_at is None and not SIGNING_ROLES.isdisjoint(person.roles)
        ],
        waiting=[] if site.orders is None else _waiting(site, presenter),
        days=LIFE_DAYS,
        problem=problem,
        pem=pem,
        is_open=site.orders is not None,
    )


def _waiting(site: Site, presenter: Presenter) -> list[dict[str, str]]:
    return [
        {
            "officer": one.person,
            "kid": one.kid.hex(),
            "made_text": presenter.moment(one.made_at),
        }
        for one in office_of(site).officers.passkeys.waiting()
    ]


def _bundle(site: Site, presenter: Presenter, bundle: Bundle) -> dict[str, Any]:
    answers = site.store.answers(bundle.order_id)
    pending = [answer.device for answer in answers if answer.outcome is None]
    return {
        "version": bundle.version,
        "issued_text": presenter.moment(bundle.issued_at),
        "names": ", ".join(sorted({entry.officer for entry in bundle.officers})) or "–",
        "applied": sum(answer.outcome is OrderOutcome.APPLIED for answer in answers),
        "all": len(answers),
        "pending": pending[:100],
    }


@router.post("/officers")
def add(
    request: Request, site: SiteOf, actor: Editor, officer: Annotated[str, Form(max_length=40)],
    pem: Annotated[str, Form(max_length=MAX_PEM)],
    days: Annotated[int, Form(ge=1, le=2000)] = LIFE_DAYS,
) -> Response:  # fmt: skip
    """Let a person's key sign: a new bundle goes to every device."""
    try:
        office_of(site).officers.add(actor, officer, pem, days)
    except OfficerError as error:
        return _page(request, site, problem=str(error), status=422, pem=pem)
    return RedirectResponse("/officers", 303)


@router.post("/officers/remove")
def remove(
    site: SiteOf, actor: Editor, kid: Annotated[str, Form(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """Let a key sign nothing more, at the central at once and at each device as it gets word."""
    office_of(site).officers.remove(actor, bytes.fromhex(kid))
    return RedirectResponse("/officers", 303)
