"""The pages of orders: the list with its live states, the form, what follows from an order."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.clocks import local, midnight
from central.orders.book import OrderRecord
from central.orders.drafting import draft_entry, follow, members, remaining_us
from central.orders.entry import FIELDS, EntryError, fill, read_entry
from central.orders.kinds import AT_THE_BANK, KINDS, OrderKind, OrderRefusedError, OrderState
from central.orders.office import OrderOffice
from central.orders.tree import account_tree, branches
from central.orders.wrongly_held import Ground, wrongly_held
from central.people.permissions import Permission
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import Site, SiteOf

PAGE_ROWS = 50
MAX_FIELD = 5000
_HOUR_US = 3600 * 1_000_000

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.ORDERS_READ)]
Drafter = Annotated[Actor, needs(Permission.ORDERS_DRAFT)]
OrderName = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Filter = Annotated[str, Query(max_length=80)]

_S = OrderState
GROUPS: dict[str, frozenset[OrderState]] = {
    "to_sign": frozenset({_S.DRAFTED}),
    "under_way": frozenset({_S.SIGNED, _S.SENT, _S.MATCHED}),
    "live": frozenset({_S.EXECUTED, _S.FED_BACK}),
    "over": frozenset({_S.EXPIRED, _S.RELEASED, _S.EXTENDED}),
    "not_done": frozenset({_S.MISMATCHED, _S.REFUSED, _S.LAPSED, _S.WITHDRAWN}),
    "all": frozenset(_S),
}
DRAFTABLE = tuple(
    kind for kind in OrderKind if KINDS[kind].ends is None and KINDS[kind].renews is None
)
"""What the form draws up; releases and extensions come from the order that they end or renew."""


def office_of(site: Site) -> OrderOffice:
    """Return the order office; raises RuleError where there is none."""
    if site.orders is None:
        raise RuleError("this central has no broker by which an order is sent")
    return site.orders


def sees(actor: Actor, order: OrderRecord) -> bool:
    """Whether a person may see an order: in their areas, and a bank only what banks are asked."""
    if not actor.covers(order.application.area):
        return False
    return actor.roles != {Role.BANK} or order.application.kind in AT_THE_BANK


def the_order(site: Site, actor: Actor, name: str) -> OrderRecord:
    """Return an order of the reader's areas; what lies elsewhere is not there."""
    try:
        found = office_of(site).desk.book.get(bytes.fromhex(name))
    except OrderRefusedError:
        raise HTTPException(404, f"there is no order {name}") from None
    if not sees(actor, found):
        raise HTTPException(404, f"there is no order {name}")
    return found


def order_row(office: OrderOffice, presenter: Presenter, order: OrderRecord) -> dict[str, Any]:
    """Return an order for a list."""
    application, words = order.application, presenter.words
    now = office.clock.wall()
    left = remaining_us(order, now)
    is_warned = left is not None and any(at <= now for at in office.warn_at(order))
    return {
        "name": application.order_id.hex(),
        "href": f"/orders/{application.order_id.hex()}",
        "kind_text": words.word("order_kind", application.kind),
        "code": office.codes.requests.get(application.kind, ""),
        "state": order.state.value,
        "state_text": words.word("order_state", order.state),
        "is_live": order.is_live(now),
        "is_warned": is_warned,
        "account_text": "–" if application.account is None else f"**** {application.account.last4}",
        "amount_text": presenter.yuan(application.amount_fen) if application.amount_fen else "–",
        "case": application.case,
        "area": application.area,
        "application_id": application.application_id,
        "drafted_text": presenter.moment(application.drafted_at),
        "drafted_by": application.drafted_by,
        "signers": ", ".join(order.signers),
        "until_text": "" if application.until is None else presenter.moment(application.until),
        "left_text": "" if left is None else presenter.lasted(left),
        "is_urgent": application.is_urgent,
    }


@router.get("/orders")
def orders(
    request: Request, site: SiteOf, actor: Reader, group: Filter = "all", kind: Filter = "",
    case: Filter = "", text: Filter = "",
    start: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> HTMLResponse:  # fmt: skip
    """Orders with filters, the newest draft first; the states renew themselves."""
    presenter = site.presenter(request)
    group = group if group in GROUPS else "all"
    office = site.orders
    seen = [] if office is None else [o for o in office.desk.records() if sees(actor, o)]
    chosen = [
        order
        for order in reversed(seen)
        if order.state in GROUPS[group] and _fits(order, kind, case.strip(), text.strip())
    ]
    asked = {"group": group, "kind": kind, "case": case, "text": text}
    link = ""
    if len(chosen) > start + PAGE_ROWS:
        link = "?" + urlencode({**asked, "start": start + PAGE_ROWS})
    shown = chosen[start : start + PAGE_ROWS]
    return site.page(
        request,
        "orders.html",
        orders=[] if office is None else [order_row(office, presenter, o) for o in shown],
        counts=[(name, sum(o.state in states for o in seen)) for name, states in GROUPS.items()],
        warned=0 if office is None else _warned(office, presenter, seen),
        wrong=None if office is None else _wrongly_held(office, seen),
        is_open=office is not None,
        asked=asked,
        kinds=list(OrderKind),
        following=link,
    )


@router.get("/account-tree")
def account_tree_page(
    request: Request, site: SiteOf, actor: Reader, case: Filter = ""
) -> HTMLResponse:
    """A case's accounts, each below the one its money came from, with what is held now."""
    presenter, office, case = site.presenter(request), site.orders, case.strip()
    seen = [] if office is None else [o for o in office.desk.records() if sees(actor, o)]
    found = branches(account_tree(seen, case, site.clock.wall())) if case else []
    words = presenter.words
    texts = {
        o.application.order_id: f"{words.word('order_kind', o.application.kind)} "
        f"{o.application.application_id} · {words.word('order_state', o.state)}"
        for o in seen
        if o.application.case == case
    }
    return site.page(
        request,
        "account_tree.html",
        case=case,
        cases=sorted({o.application.case for o in seen if o.application.case}),
        total_text=presenter.yuan(sum(one.node.held_fen for one in found)),
        total_fen=sum(one.node.held_fen for one in found),
        branches=[
            {
                "depth": min(one.depth, 8),
                "last4": one.node.last4,
                "tier": one.node.tier,
                "held_text": presenter.yuan(one.node.held_fen),
                "whole_text": presenter.yuan(one.with_children_fen),
                "orders": [{"name": o.hex(), "text": texts[o]} for o in one.node.orders],
            }
            for one in found
        ],
    )


def _fits(order: OrderRecord, kind: str, case: str, text: str) -> bool:
    application = order.application
    account = application.account
    parts = (
        application.application_id,
        application.drafted_by,
        *order.signers,
        "" if account is None else account.last4,
    )
    return (
        (not kind or application.kind == kind)
        and (not case or case in application.case)
        and (not text or any(text in part for part in parts))
    )


def _warned(office: OrderOffice, presenter: Presenter, seen: list[OrderRecord]) -> int:
    live = [o for o in seen if o.is_live(office.clock.wall())]
    return sum(order_row(office, presenter, o)["is_warned"] for o in live)


def _wrongly_held(office: OrderOffice, seen: list[OrderRecord]) -> dict[str, Any]:
    """Minutes of this month, in China, in which somebody's money was held wrongly."""
    now = office.clock.wall()
    first = midnight(local(now).date().replace(day=1))
    found = wrongly_held(seen, first, int(now) + 1)
    middle = found.median_minutes
    return {
        "count": len(found.holds),
        "total": f"{found.total_minutes:.0f}",
        "median": "–" if middle is None else f"{middle:.0f}",
    }


# -- the form -------------------------------------------------------------------------------------


def form_page(
    request: Request, site: Site, actor: Actor, typed: dict[str, str], *, status: int = 200,
    mistakes: dict[str, str] | None = None, problem: str = "",
) -> HTMLResponse:  # fmt: skip
    """Return the form with what was typed; never with a number in an address."""
    entered = dict.fromkeys(FIELDS, "") | typed
    entered["kind"] = entered["kind"] or OrderKind.STOP_PAYMENT.value
    entered["area"] = entered["area"] or min(actor.areas, default="")
    return site.page(
        request,
        "order_new.html",
        status_code=status,
        entered=entered,
        mistakes=mistakes or {},
        problem=problem,
        kinds=DRAFTABLE,
        is_open=site.orders is not None,
    )


def _typed(form: FormData) -> dict[str, str]:
    found = {}
    for name in FIELDS:
        value = form.get(name)
        if isinstance(value, str):
            found[name] = value[:MAX_FIELD]
    return found


@router.get("/orders/new")
def new(
    request: Request, site: SiteOf, actor: Drafter, kind: Filter = "", case: Filter = "",
    area: Filter = "",
) -> HTMLResponse:  # fmt: skip
    """Show the empty form; a case and its area may be named in the address, an account never."""
    return form_page(request, site, actor, {"kind": kind, "case": case, "area": area})


@router.post("/orders/form")
async def filled(request: Request, site: SiteOf, actor: Drafter) -> HTMLResponse:
    """Show the form filled with what another page knows already, or with what was pasted."""
    typed = fill(_typed(await request.form()))
    return form_page(request, site, actor, {**typed, "paste": ""})


@router.post("/orders")
async def draft(request: Request, site: SiteOf, actor: Drafter) -> Response:
    """Draw an order up; what is wrong is told beside its field, and all that was typed stays."""
    typed = _typed(await request.form())
    return await run_in_threadpool(_draft, request, site, actor, typed)


def _draft(request: Request, site: Site, actor: Actor, typed: dict[str, str]) -> Response:
    office, words = office_of(site), site.words(request)
    try:
        made = draft_entry(office, actor, read_entry(typed, office.clock.wall()))
    except EntryError as error:
        said = {name: words.word("mistake", word) for name, word in error.mistakes.items()}
        return form_page(request, site, actor, fill(typed), status=422, mistakes=said)
    except OrderRefusedError as error:
        said_why = refusal_text(site, request, error)
        return form_page(request, site, actor, fill(typed), status=422, problem=said_why)
    return RedirectResponse(f"/orders/{made.orders[0].application.order_id.hex()}", 303)


def refusal_text(site: Site, request: Request, error: OrderRefusedError) -> str:
    """Say why an order was refused, and which one is the way on."""
    words = site.words(request)
    text = f"{words.word('order_reason', error.reason)} ({error.detail})"
    return f"{text} → {error.hint}" if error.hint else text


@router.post("/orders/{order}/follow")
def follow_up(
    site: SiteOf, actor: Drafter, order: OrderName, kind: Annotated[str, Form(max_length=40)],
    ground: Annotated[str, Form(max_length=40)] = "",
    whole: Annotated[bool, Form()] = False,
) -> Response:  # fmt: skip
    """Draw up a release, an extension or a freeze of what lives: one press, nothing typed again."""
    office, record = office_of(site), the_order(site, actor, order)
    if kind not in set(OrderKind) or (ground and ground not in set(Ground)):
        raise RuleError("this form does not know that order or ground")
    now = office.clock.wall()
    chosen = [record]
    if whole:
        chosen = members(office.desk.records(), record, lambda one: one.is_live(now))
    made = follow(office, actor, chosen or [record], OrderKind(kind), ground)
    return RedirectResponse(f"/orders/{made[0].application.order_id.hex()}", 303)
