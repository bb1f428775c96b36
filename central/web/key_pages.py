"""The keys under which accounts are known: which count, which machine has them, the next step."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.lists.key_steps import KeyState
from central.people.permissions import Permission
from central.web.access import needs
from central.web.site import SiteOf

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.KEYS_READ)]
Rotator = Annotated[Actor, needs(Permission.KEYS_ROTATE)]
STATES = ("in_use", "coming", "former")
RECEIPTS = ("has", "waits", "refused", "no_box")


@router.get("/keys")
def keys(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Numbers, never secrets."""
    state, words = site.keys.state(), site.presenter(request).words
    machines = [
        {
            "device": one.device,
            "state": one.state,
            "text": words.word("key_receipt", one.state),
            "detail": one.detail,
        }
        for one in site.keys.receipts()
    ]
    return site.page(
        request,
        "keys.html",
        keys=[(number, words.word("key_state", word)) for number, word in _named(state)],
        bundle=state.bundle,
        coming=state.coming,
        former=state.former,
        machines=sorted(machines, key=lambda m: (m["state"] == "has", m["device"])),
        lacking=sum(one["state"] != "has" for one in machines),
    )


@router.post("/keys/begin")
def begin(site: SiteOf, actor: Rotator) -> Response:
    """Make the next key and hand it out."""
    site.keys.begin(actor)
    return RedirectResponse("/keys", 303)


@router.post("/keys/switch")
def switch(site: SiteOf, actor: Rotator) -> Response:
    """Take it in use; refused while a machine lacks it."""
    site.keys.switch(actor)
    return RedirectResponse("/keys", 303)


@router.post("/keys/retire")
def retire(site: SiteOf, actor: Rotator, number: Annotated[int, Form(ge=1, le=2**31)]) -> Response:
    """Forget a former key; refused while something lives under it."""
    site.keys.retire(actor, number)
    return RedirectResponse("/keys", 303)


def _named(state: KeyState) -> list[tuple[int, str]]:
    found = [(state.primary, "in_use")]
    found += [] if state.coming is None else [(state.coming, "coming")]
    return found + [(number, "former") for number in state.former]
