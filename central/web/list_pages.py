"""The ATMs' lists: what is in force, how old it is at each machine, who proposed what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Path, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.actor import Actor
from central.alert_states import RuleError
from central.lists.desk import words_of
from central.lists.entries import COLUMNS, ListWord
from central.lists.staleness import AtmList, atm_lists
from central.people.permissions import Permission
from central.store import lists as stored
from central.store.lists import ListChange, ListEntry, ListVersion
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import Site, SiteOf
from contract.account_list import ListedFor, Regime

SHOWN_CHANGES, SHOWN_VERSIONS, SHOWN_ROWS = 50, 20, 100
WHY = ("change", "orders", "term", "rollback", "again", "key")
STATES = ("proposed", "approved", "declined")
KINDS = ("add", "remove", "rollback", "key", "key_off")
_MAX_ID = 2**63 - 1

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, needs(Permission.LISTS_READ)]
Editor = Annotated[Actor, needs(Permission.LISTS_EDIT)]
Reviewer = Annotated[Actor, needs(Permission.LISTS_REVIEW)]
Note = Annotated[str, Form(max_length=2000)]
Rows = Annotated[str, Form(max_length=900_000)]
Number = Annotated[str, Form(max_length=40)]
ChangeId = Annotated[int, Path(ge=1, le=_MAX_ID)]


@router.get("/lists")
def lists(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """The list in force, machines, proposals, versions."""
    return _page(request, site)


@router.post("/lists/find")
def find(request: Request, site: SiteOf, actor: Reader, number: Number) -> HTMLResponse:
    """What the list says of one account. Its number stands in no address and in no log."""
    found = site.lists.find(actor, number)
    presenter = site.presenter(request)
    return _page(
        request,
        site,
        asked=f"**** {number.strip()[-4:]}",
        found=[_entry(presenter, entry) for entry in found],
    )


@router.post("/lists/file")
async def propose_file(
    request: Request, site: SiteOf, actor: Editor, note: Note, rows: Rows = "",
    file: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Propose what a CSV lists; rows that are refused are named by their lines."""
    from starlette.concurrency import run_in_threadpool

    name, text = "form", rows
    if file is not None and file.filename:
        name, text = file.filename, decoded(await file.read())
    made = await run_in_threadpool(
        site.lists.propose_file, actor, name, text.splitlines(keepends=True), note
    )
    return RedirectResponse(f"/lists/changes/{made}", 303)


@router.post("/lists/remove")
def propose_removal(
    site: SiteOf, actor: Editor, number: Number, note: Note,
    reasons: Annotated[list[str], Form(max_length=20)],
) -> Response:  # fmt: skip
    """Propose to take an account off."""
    known = {word.value for word in ListWord}
    words = [ListWord(word) for word in reasons if word in known]
    made = site.lists.propose_removal(actor, number, words, note)
    return RedirectResponse(f"/lists/changes/{made}", 303)


@router.post("/lists/rollback")
def propose_rollback(
    site: SiteOf, actor: Editor, version: Annotated[int, Form(ge=1, le=_MAX_ID)], note: Note
) -> Response:
    """Propose to go back to an earlier version."""
    made = site.lists.propose_rollback(actor, version, note)
    return RedirectResponse(f"/lists/changes/{made}", 303)


@router.get("/lists/changes/{change_id}")
def change(request: Request, site: SiteOf, actor: Reader, change_id: ChangeId) -> HTMLResponse:
    """One proposal: its rows, what was refused, and who may decide."""
    with site.store.reading() as connection:
        row = stored.change(connection, change_id)
        if row is None:
            raise HTTPException(404, f"there is no proposal {change_id}")
        entries = stored.entries_of_change(connection, change_id, SHOWN_ROWS)
    presenter = site.presenter(request)
    return site.page(
        request,
        "list_change.html",
        change=_change(presenter, row),
        listed=[_entry(presenter, entry) for entry in entries],
        shown_rows=SHOWN_ROWS,
        is_own=row.proposed_by == actor.name,
    )


@router.post("/lists/changes/{change_id}/decide")
def decide(
    site: SiteOf, actor: Reviewer, change_id: ChangeId,
    answer: Annotated[str, Form(pattern="^(approve|decline)$")],
) -> Response:  # fmt: skip
    """Approve or decline what somebody else proposed."""
    site.lists.decide(actor, change_id, is_approved=answer == "approve")
    return RedirectResponse(f"/lists/changes/{change_id}", 303)


def decoded(raw: bytes) -> str:
    """Return a file's text: UTF-8, or GB 18030 as spreadsheets here write it; raises RuleError."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise RuleError("the file is neither UTF-8 nor GB 18030")


def _page(
    request: Request, site: Site, *, asked: str = "", found: Sequence[dict[str, Any]] = ()
) -> HTMLResponse:
    presenter = site.presenter(request)
    with site.store.reading() as connection:
        versions = stored.versions(connection, SHOWN_VERSIONS)
        changes = stored.changes(connection, SHOWN_CHANGES)
    newest = next((version for version in versions if version.sha256 is not None), None)
    machines = atm_lists(site.store.devices(), newest, int(site.clock.wall()))
    return site.page(
        request,
        "lists.html",
        newest=None if newest is None else _version(presenter, newest),
        versions=[_version(presenter, version) for version in versions],
        machines=[_machine(presenter, machine) for machine in machines],
        counts={
            state: sum(machine.state == state for machine in machines)
            for state in ("current", "behind", "stale", "none")
        },
        waiting=[_change(presenter, row) for row in changes if row.state == "proposed"],
        decided=[_change(presenter, row) for row in changes if row.state != "proposed"],
        columns=",".join(COLUMNS),
        reasons=[word.value for word in ListWord],
        asked=asked,
        found=found,
    )


def _version(presenter: Presenter, version: ListVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "why": presenter.words.word("list_why", version.why),
        "count": version.count,
        "added": version.added,
        "removed": version.removed,
        "made": presenter.moment(version.made_at),
        "sha256": "" if version.sha256 is None else version.sha256.hex(),
    }


def _machine(presenter: Presenter, machine: AtmList) -> dict[str, Any]:
    return {
        "device": machine.device,
        "name": machine.name,
        "state": machine.state,
        "state_text": presenter.words.word("list_state", machine.state),
        "version": machine.version,
        "age_text": "–" if machine.age_s is None else presenter.lasted(machine.age_s * 1_000_000),
        "reported": "" if machine.reported_at is None else presenter.moment(machine.reported_at),
        "problem": machine.problem,
    }


def _change(presenter: Presenter, row: ListChange) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "kind_text": presenter.words.word("list_kind", row.kind),
        "state": row.state,
        "state_text": presenter.words.word("list_change", row.state),
        "name": row.name,
        "note": row.note,
        "taken": row.taken,
        "refused": row.refused,
        "refusals": row.refusals,
        "version": row.version,
        "by": row.proposed_by,
        "at": presenter.moment(row.proposed_at),
        "decided_by": row.decided_by,
        "decided": "" if row.decided_at is None else presenter.moment(row.decided_at),
    }


def _entry(presenter: Presenter, entry: ListEntry) -> dict[str, Any]:
    words = presenter.words
    return {
        "id": entry.id,
        "account": f"**** {entry.last4}",
        "reason": ", ".join(words.word("listed", name) for name in words_of(entry.listed_for)),
        "regime": Regime(entry.regime).name.replace("_", "-") if entry.regime else "",
        "until": "" if entry.until_at is None else presenter.moment(entry.until_at),
        "source": entry.source,
        "source_text": words.word("list_source", entry.source),
        "ref": entry.source_ref,
        "note": entry.note,
        "since": entry.added_version,
        "gone": entry.removed_version,
    }


LISTED = [flag.name.lower() for flag in ListedFor if flag.name]
"""Words of the reasons, for the catalogues."""
