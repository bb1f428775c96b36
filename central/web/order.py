"""One order: all of it before anybody signs, the signatures, what each machine did with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.clocks import Subject, day_of
from central.orders.book import OrderRecord
from central.orders.drafting import FOLLOWERS, members
from central.orders.kinds import KINDS, OrderKind, OrderRefusedError, OrderState
from central.orders.office import OrderOffice
from central.orders.platform import Sealed
from central.orders.sealed import masked, masked_name
from central.orders.signing import (
    MAX_BYTES,
    SigningError,
    passkey_jobs,
    read_signatures,
    signing_file,
    signing_jobs,
)
from central.orders.wrongly_held import Ground
from central.people.permissions import Permission, may
from central.store.links import LinkComparison, VisitLink, comparisons, visit_links
from central.web.access import needs
from central.web.orders import (
    Drafter,
    OrderName,
    Reader,
    office_of,
    order_row,
    refusal_text,
    the_order,
)
from central.web.present import DAYS_FROM_HOURS, Presenter
from central.web.site import Site, SiteOf
from contract.orders import Officer
from contract.visit_links import fingerprint
from contract.words import OrderOutcome

MAX_ANSWERS = 300
MAX_LINKS = 1000
"""Linked visits that one page shows, the most alike first."""

router = APIRouter(include_in_schema=False)
Signatory = Annotated[Actor, needs(Permission.ORDERS_SIGN)]
Opener = Annotated[Actor, needs(Permission.SEALED_OPEN)]


@router.get("/orders/{order}")
def order(request: Request, site: SiteOf, actor: Reader, order: OrderName) -> HTMLResponse:
    """One order, expanded: every account, the term, the money, the law it rests on."""
    return _page(request, site, actor, the_order(site, actor, order))


@router.post("/orders/{order}/open")
def open_sealed(request: Request, site: SiteOf, actor: Opener, order: OrderName) -> HTMLResponse:
    """Show full numbers and names on this one page; the opening is in the audit log."""
    record = the_order(site, actor, order)
    site.audit.note(actor, "order.open_sealed", order, detail={"case": record.application.case})
    return _page(request, site, actor, record, is_opened=True)


@router.post("/orders/{order}/links")
def open_links(request: Request, site: SiteOf, actor: Reader, order: OrderName) -> HTMLResponse:
    """Show which visits the machines linked; the opening is in the audit log, with the case."""
    record = the_order(site, actor, order)
    with site.store.reading() as connection:
        links = visit_links(connection, record.application.order_id, MAX_LINKS)
    detail = {"case": record.application.case, "links": len(links)}
    site.audit.note(actor, "order.open_links", order, detail=detail)
    return _page(request, site, actor, record, links=links)


def _found(site: Site, record: OrderRecord) -> Sequence[LinkComparison]:
    """What machines said of the parcels of an order to link visits."""
    if not record.application.machines:
        return ()
    with site.store.reading() as connection:
        return comparisons(connection, record.application.order_id)


def _page(
    request: Request, site: Site, actor: Actor, record: OrderRecord, *, is_opened: bool = False,
    problem: str = "", status: int = 200, links: Sequence[VisitLink] | None = None,
) -> HTMLResponse:  # fmt: skip
    office, presenter = office_of(site), site.presenter(request)
    everything = office.desk.records()
    together = members(everything, record, lambda one: True)
    to_sign = _to_sign(office, actor, together)
    keys = office.officers.keys_of(actor.name, record.application.drafted_at)
    now, begins = office.clock.wall(), KINDS[record.application.kind].begins
    found = _found(site, record)
    return site.page(
        request,
        "order.html",
        status_code=status,
        order=order_row(office, presenter, record),
        accounts=[_account(office, presenter, one, is_opened=is_opened) for one in together],
        is_opened=is_opened,
        facts=_facts(office, presenter, record),
        feedback=_feedback(presenter, record),
        waiting=office.desk.waiting.get(record.application.order_id, ""),
        answers=[_answers(office, presenter, one) for one in together],
        history=[_event(presenter, event) for event in _events(together)],
        targets=[name.hex() for name in record.application.targets],
        machines=_machines(record),
        comparisons=_comparisons(presenter, found),
        links=None if links is None else [_link(presenter, link) for link in links],
        linked_count=sum(one.linked for one in found),
        jobs=_jobs(office, to_sign, keys),
        passkeys=_passkeys(office, to_sign, keys),
        has_key=bool(keys),
        is_key_younger=bool(office.officers.keys_of(actor.name, now)),
        has_key_file=any(key.credential_id is None for key in keys),
        is_to_sign=bool(to_sign),
        has_signed=actor.name in record.signers,
        is_draft=record.state is OrderState.DRAFTED,
        follows=FOLLOWERS.get(begins, ()) if begins and record.is_live(now) else (),
        ends={kind for kind in OrderKind if KINDS[kind].ends is not None},
        grounds=list(Ground),
        is_refreshed=not record.state.is_live or any(_pending(office, one) for one in together),
        problem=problem,
        may_sign=may(actor, Permission.ORDERS_SIGN),
    )


def _machines(record: OrderRecord) -> list[dict[str, str]]:
    """Machines that compare, with what people compare of their keys."""
    return [
        {"device": one.device, "fingerprint": fingerprint(one.key)}
        for one in record.application.machines
    ]


def _comparisons(presenter: Presenter, found: Sequence[LinkComparison]) -> list[dict[str, Any]]:
    return [
        {
            "machine": one.machine,
            "sender": one.sender,
            "is_opened": one.is_opened,
            "faces": one.faces,
            "compared": one.compared,
            "linked": one.linked,
            "at_text": presenter.moment(one.at),
        }
        for one in found
    ]


def _link(presenter: Presenter, link: VisitLink) -> dict[str, str]:
    return {
        "machine": link.machine,
        "sender": link.sender,
        "visit": str(link.visit),
        "at_text": presenter.moment(link.captured_at),
        "similarity": f"{link.similarity:.3f}",
    }


def _to_sign(
    office: OrderOffice, actor: Actor, together: Sequence[OrderRecord]
) -> list[OrderRecord]:
    """Drafts of this application that a person has not signed yet."""
    return [
        one for one in together if one.state is OrderState.DRAFTED and actor.name not in one.signers
    ]


def _contents(office: OrderOffice, orders: Sequence[OrderRecord]) -> dict[bytes, bytes]:
    return {o.application.order_id: office.desk.content(o.application.order_id) for o in orders}


def _jobs(office: OrderOffice, orders: Sequence[OrderRecord], keys: Sequence[Officer]) -> str:
    jobs = signing_jobs(_contents(office, orders), keys, office.tenant)
    return json.dumps(jobs, separators=(",", ":"))


def _passkeys(
    office: OrderOffice, orders: Sequence[OrderRecord], keys: Sequence[Officer]
) -> list[dict[str, str]]:
    """Return a person's passkeys, each with what one press of it signs."""
    newest = office.officers.newest()
    place = None if newest is None else newest.place
    return [
        {"key": job["key"], "job": json.dumps(job, separators=(",", ":"))}
        for job in passkey_jobs(_contents(office, orders), keys, office.tenant, place)
    ]


def _account(
    office: OrderOffice, presenter: Presenter, one: OrderRecord, *, is_opened: bool
) -> dict[str, Any]:
    """One account as the page shows it: masked, or in full after an opening that was noted."""
    sealed = office.desk.open_sealed(one.application.order_id)
    number, name = sealed.number or "–", sealed.name or "–"
    if not is_opened:
        number = masked(sealed.number) if sealed.number else "–"
        name = masked_name(sealed.name) or "–"
    row = order_row(office, presenter, one)
    row |= {"number": number, "holder": name, "payer": _payer(sealed, is_opened=is_opened)}
    row["times_left"] = ""
    if one.application.account is not None:
        row["times_left"] = str(office.times_left(one.application.account.hmac))
    row["held_text"] = presenter.yuan(one.held_fen) if one.held_fen else "–"
    return row


def _payer(sealed: Sealed, *, is_opened: bool) -> str:
    if not sealed.payer_number:
        return ""
    return sealed.payer_number if is_opened else masked(sealed.payer_number)


def _facts(office: OrderOffice, presenter: Presenter, record: OrderRecord) -> list[tuple[str, str]]:
    """Everything that the order says, as pairs of label and text, in the words of the page."""
    application, words = record.application, presenter.words
    rule = KINDS[application.kind]
    law = ""
    if rule.term is not None or rule.ends is not None:
        subject = rule.term or Subject.STOP_PAYMENT
        row = office.law.row(subject, day_of(application.drafted_at))
        named = words.word("law", row.id)
        law = f"{named} ({row.id})" if named != row.id else f"{row.id} {row.source}"
    limit, moved_at = application.limit_fen, application.transfer_at
    pairs = [
        ("kind", words.word("order_kind", application.kind)),
        ("code", office.codes.requests.get(application.kind, "")),
        ("case", application.case),
        ("application", application.application_id),
        ("area", presenter.area(application.area)),
        ("amount", presenter.yuan(application.amount_fen) if application.amount_fen else ""),
        ("transfer_at", presenter.moment(moved_at) if moved_at else ""),
        ("limit", "" if limit is None else presenter.yuan(limit)),
        ("tier", str(application.tier)),
        ("urgent", words.text("yes") if application.is_urgent else ""),
        ("from", presenter.moment(application.drafted_at)),
        ("until", "" if application.until is None else presenter.moment(application.until)),
        ("term", _term(presenter, record)),
        ("ground", words.word("ground", application.ground) if application.ground else ""),
        ("law", law),
        ("counter", str(application.counter)),
    ]  # fmt: skip
    return [(words.word("order_field", name), text) for name, text in pairs if text]


def _term(presenter: Presenter, record: OrderRecord) -> str:
    until = record.application.until
    if until is None:
        return ""
    hours, rest = divmod(until - record.application.drafted_at, 3600 * 1_000_000)
    if rest:
        return presenter.lasted(until - record.application.drafted_at)
    if hours >= DAYS_FROM_HOURS and hours % 24 == 0:
        return f"{hours // 24} {presenter.words.text('d')}"
    return f"{hours} {presenter.words.text('h')}"


def _feedback(presenter: Presenter, record: OrderRecord) -> dict[str, Any] | None:
    said = record.feedback
    if not said:
        return None
    words = presenter.words
    return {
        "code": said.get("code", ""),
        "return_code": said.get("return_code", ""),
        "failures": [words.word("order_reason", reason) for reason in said.get("failures", ())],
        "hint": said.get("hint", ""),
        "held_text": presenter.yuan(int(said.get("held_fen") or 0)),
    }


def _pending(office: OrderOffice, one: OrderRecord) -> bool:
    answers = office.store.answers(one.application.order_id)
    return any(answer.outcome is None for answer in answers)


def _answers(office: OrderOffice, presenter: Presenter, one: OrderRecord) -> dict[str, Any]:
    """What each machine did with one order; those that have not answered first, by name."""
    rows = office.store.answers(one.application.order_id)
    pending = [row.device for row in rows if row.outcome is None]
    words = presenter.words
    done = [
        {
            "device": row.device,
            "outcome": row.outcome.value,
            "outcome_text": words.word("order_outcome", row.outcome),
            "reason_text": "" if row.reason is None else words.word("order_refusal", row.reason),
            "at_text": "" if row.answered_at is None else presenter.moment(row.answered_at),
        }
        for row in rows
        if row.outcome is not None
    ]
    applied = sum(row.outcome in {OrderOutcome.APPLIED, OrderOutcome.ENDED} for row in rows)
    return {
        "account_text": order_row(office, presenter, one)["account_text"],
        "name": one.application.order_id.hex(),
        "all": len(rows),
        "applied": applied,
        "refused": sum(row.outcome is OrderOutcome.REFUSED for row in rows),
        "pending": pending[:MAX_ANSWERS],
        "pending_count": len(pending),
        "done": done[:MAX_ANSWERS],
        "is_sent": KINDS[one.application.kind].wire is not None,
    }


def _events(together: Sequence[OrderRecord]) -> list[tuple[OrderRecord, Any]]:
    found = [(one, event) for one in together for event in one.events]
    return sorted(found, key=lambda pair: pair[1].at)


def _event(presenter: Presenter, pair: tuple[OrderRecord, Any]) -> dict[str, str]:
    one, event = pair
    account = one.application.account
    failures = event.detail.get("failures", ())
    return {
        "at_text": presenter.moment(event.at),
        "actor": event.by,
        "step": event.trigger.value,
        "step_text": presenter.words.word("order_step", event.trigger),
        "account_text": "" if account is None else f"**** {account.last4}",
        "detail": ", ".join(presenter.words.word("order_reason", reason) for reason in failures),
    }


# -- signing --------------------------------------------------------------------------------------


@router.get("/orders/{order}/to-sign")
def to_sign(site: SiteOf, actor: Signatory, order: OrderName) -> Response:
    """Give what is to be signed as a file, for ``qianshao order sign`` on the officer's machine."""
    office, record = office_of(site), the_order(site, actor, order)
    together = members(office.desk.records(), record, lambda one: True)
    wanted = _to_sign(office, actor, together)
    return Response(
        signing_file(_contents(office, wanted), office.tenant),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="order-{order[:8]}.tosign.json"'},
    )


@router.post("/orders/{order}/sign")
def sign(
    request: Request, site: SiteOf, actor: Signatory, order: OrderName,
    signatures: Annotated[str, Form(max_length=MAX_BYTES)] = "",
    file: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Take signatures of one officer: made by the page's script, or in an uploaded file."""
    office, record = office_of(site), the_order(site, actor, order)
    raw = signatures.encode() if signatures else b""
    if not raw and file is not None:
        raw = file.file.read(MAX_BYTES + 1)
    try:
        parts = read_signatures(raw)
    except SigningError as error:
        refused = OrderRefusedError(*error.refusal)
        site.audit.note(
            actor, "order.refused", order, outcome="refused",
            detail={"reason": refused.reason.value, "detail": refused.detail},
        )  # fmt: skip
        said = refusal_text(site, request, refused)
        return _page(request, site, actor, record, problem=said, status=422)
    together = members(office.desk.records(), record, lambda one: True)
    known = {one.application.order_id for one in together}
    problems = []
    for name, part in parts.items():
        if name not in known:
            raise RuleError("the file holds a signature of another order")
        try:
            office.desk.sign(actor, name, part)
        except OrderRefusedError as error:
            problems.append(refusal_text(site, request, error))
    if problems:
        now = the_order(site, actor, order)
        said = "; ".join(dict.fromkeys(problems))
        return _page(request, site, actor, now, problem=said, status=422)
    return RedirectResponse(f"/orders/{order}", 303)


@router.post("/orders/{order}/withdraw")
def withdraw(site: SiteOf, actor: Drafter, order: OrderName) -> Response:
    """Take a draft back before it has two signatures; of a person all that are drafts."""
    office, record = office_of(site), the_order(site, actor, order)
    drafts = members(office.desk.records(), record, lambda one: one.state is OrderState.DRAFTED)
    for one in drafts or [record]:
        office.desk.withdraw(actor, one.application.order_id)
    return RedirectResponse(f"/orders/{order}", 303)
