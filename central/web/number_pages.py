"""Numbers to block: review, evaluation, answers of carriers; the same loop for our rules."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.numbers import Evaluation
from central.people.permissions import Permission
from central.units import FeedDesk, NumberDesk
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import SiteOf

SHOWN = 100
router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.NUMBERS_READ)]
Reviewer = Annotated[Actor, needs(Permission.LISTS_REVIEW)]
Answerer = Annotated[Actor, needs(Permission.NUMBERS_ANSWER)]
Editor = Annotated[Actor, needs(Permission.LISTS_EDIT)]
Line = Annotated[str, Form(max_length=200)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
PUSH_STATES = ("answered", "due", "overdue")
BLOCKS_OF = ("all", "carrier", "rule")
NUMBER_STATES = ("candidate", "rejected", "pushed")


@router.get("/numbers")
def numbers(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """Candidates with their sources, blocks with their answers, rates with their integers.

    A carrier's own people see the blocks of their carrier; what waits for review, what was
    rejected and our own rules are the centre's.
    """
    desk, presenter = NumberDesk(site.store, site.clock), site.presenter(request)
    own = desk.bounds.carriers(actor, Permission.NUMBERS_READ)
    if own is not None:
        return site.page(request, "numbers.html", is_whole=False, **_blocks(presenter, desk, own))
    counts = desk.counts()
    return site.page(
        request,
        "numbers.html",
        is_whole=True,
        counts=[(state, counts.get(state, 0)) for state in NUMBER_STATES],
        candidates=desk.candidates(SHOWN),
        rejected=[
            (row["number"], presenter.words.word("number_why", row["reason"]))
            for row in desk.rejected(SHOWN)
        ],
        **_blocks(presenter, desk, None),
        carriers=[u for u in FeedDesk(site.store, site.clock).units() if u.kind == "operator"],
        rules=[
            (presenter.words.word("alert", kind), good, bad, f"{good}/{good + bad}")
            for kind, good, bad in desk.rule_precision()
        ],
        changes=[
            {**row, "at": presenter.moment(row["proposed_at"])} for row in desk.rule_changes(20)
        ],
    )


@router.post("/numbers/review")
def review(
    site: SiteOf, actor: Reviewer, answer: Annotated[str, Form(pattern="^(push|reject)$")],
    numbers: Annotated[list[str], Form(max_length=30)], carrier: Line = "", rule: Line = "",
    reason: Line = "",
) -> Response:  # fmt: skip
    """Push what is fraud to its carrier; reject what is not."""
    desk = NumberDesk(site.store, site.clock)
    if answer == "push":
        desk.approve(actor, numbers, carrier, rule)
    else:
        desk.reject(actor, numbers, reason)
    return RedirectResponse("/numbers", 303)


@router.post("/numbers/back")
def back(site: SiteOf, actor: Reviewer) -> Response:
    """Push back whatever still called."""
    NumberDesk(site.store, site.clock).push_back_missed(actor)
    return RedirectResponse("/numbers", 303)


@router.post("/numbers/note")
def note(
    site: SiteOf, actor: Answerer, number: Annotated[str, Form(max_length=30)],
    what: Annotated[str, Form(pattern="^(done|wrong|back|answered)$")], answer: Line = "",
) -> Response:  # fmt: skip
    """A carrier did it, found it wrong, or answers."""
    NumberDesk(site.store, site.clock).note(actor, number, what, answer)
    return RedirectResponse("/numbers", 303)


@router.post("/numbers/rules")
def propose_rule(site: SiteOf, actor: Editor, rule: Line, text: Line) -> Response:
    """Propose another threshold of our own rules."""
    NumberDesk(site.store, site.clock).propose_rule(actor, rule, text)
    return RedirectResponse("/numbers", 303)


@router.post("/numbers/rules/{change}/decide")
def decide_rule(
    site: SiteOf, actor: Reviewer, change: RowId,
    answer: Annotated[str, Form(pattern="^(approve|decline)$")],
) -> Response:  # fmt: skip
    """Review another person's change."""
    desk = NumberDesk(site.store, site.clock)
    desk.decide_rule(actor, change, is_approved=answer == "approve")
    return RedirectResponse("/numbers", 303)


def _blocks(
    presenter: Presenter, desk: NumberDesk, carriers: Collection[str] | None
) -> dict[str, Any]:
    return {
        "pushes": [_push(presenter, row) for row in desk.pushes(SHOWN, carriers)],
        "groups": [_group(presenter, *pair) for pair in sorted(desk.evaluation(carriers).items())],
    }


def _group(presenter: Presenter, name: str, one: Evaluation) -> dict[str, Any]:
    of, _, which = name.partition(" ")
    return {
        "name": name,
        "text": f"{presenter.words.word('blocks_of', of)} {which}",
        "pushed": one.pushed,
        "missed": len(one.missed),
        "wrong": one.wrong,
        "late": one.late,
        "rate": f"{len(one.missed)}/{one.pushed}" if one.pushed else "—",
    }


def _push(presenter: Presenter, row: Any) -> dict[str, Any]:
    def moment(name: str) -> str:
        return "" if row[name] is None else presenter.moment(row[name])

    return {
        **row,
        "pushed": moment("pushed_at"),
        "done": moment("done_at"),
        "seen": moment("seen_at"),
        "back": moment("back_at"),
        "state_text": presenter.words.word("push", row["state"]) if row["state"] else "",
    }
