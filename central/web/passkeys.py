"""Passkeys of officers: made on one's own account page, decided on by an administrator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.orders.officers import LIFE_DAYS, kid_of
from central.orders.passkeys import MAX_ATTESTATION, PasskeyError
from central.people.desk import Visitor
from central.people.permissions import Permission, may
from central.web.access import needs, visitor_of
from central.web.orders import office_of
from central.web.site import Site, SiteOf
from contract.webauthn import MAX_CLIENT_DATA

router = APIRouter(include_in_schema=False)
Signatory = Annotated[Actor, needs(Permission.ORDERS_SIGN)]
Editor = Annotated[Actor, needs(Permission.OFFICERS_EDIT)]
KeyId = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]


def _hex(most: int) -> Any:
    return Form(pattern="^([0-9a-f]{2})+$", max_length=2 * most)


def own_passkeys(site: Site, visitor: Visitor) -> dict[str, Any]:
    """Return what a person's account page shows of their passkeys; options empty: not offered."""
    if site.orders is None or not may(visitor.actor, Permission.ORDERS_SIGN):
        return {"passkey_options": "", "passkeys": []}
    officers, name = site.orders.officers, visitor.actor.name
    newest = officers.newest()
    signing = [
        entry
        for entry in (() if newest is None else newest.officers)
        if entry.officer == name and entry.credential_id is not None
    ]
    known = [entry.credential_id for entry in signing if entry.credential_id is not None]
    rows = [{"kid": kid_of(entry).hex(), "is_waiting": False} for entry in signing]
    rows += [{"kid": one.kid.hex(), "is_waiting": True} for one in officers.passkeys.waiting(name)]
    options = officers.passkeys.options(name, visitor.csrf, known)
    return {"passkey_options": options, "passkeys": rows}


@router.post("/account/passkey")
def make(
    request: Request, site: SiteOf, actor: Signatory,
    attestation: Annotated[str, _hex(MAX_ATTESTATION)],
    client_data: Annotated[str, _hex(MAX_CLIENT_DATA)],
) -> Response:  # fmt: skip
    """Keep one's new passkey until an administrator lets it sign."""
    visitor = visitor_of(request)
    token = "" if visitor is None else visitor.csrf
    desk = office_of(site).officers.passkeys
    try:
        desk.offer(actor, token, bytes.fromhex(attestation), bytes.fromhex(client_data))
    except PasskeyError as error:
        raise RuleError(str(error)) from None
    return RedirectResponse("/account#passkeys", 303)


@router.post("/officers/passkey")
def accept(
    site: SiteOf, actor: Editor, kid: KeyId, days: Annotated[int, Form(ge=1, le=2000)] = LIFE_DAYS
) -> Response:
    """Let a passkey that waits sign: a new bundle goes to every device."""
    office_of(site).officers.accept(actor, bytes.fromhex(kid), days)
    return RedirectResponse("/officers", 303)


@router.post("/officers/passkey/refuse")
def refuse(site: SiteOf, actor: Editor, kid: KeyId) -> Response:
    """Let a passkey that waits never sign."""
    office_of(site).officers.refuse(actor, bytes.fromhex(kid))
    return RedirectResponse("/officers", 303)
