"""Pages of the office: people and their roles, the audit log, settings and keys of programs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from central.actor import UNIT_ROLES, Actor, Role
from central.people.desk import PersonError
from central.people.passwords import RefusedError
from central.people.permissions import PERMISSIONS, Permission
from central.store.people import Person, StaleVersionError
from central.units import FeedDesk, Unit
from central.views import time_or_none
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import Site, SiteOf

router = APIRouter(include_in_schema=False)

_SEE_OTHER = 303
_SHOWN_ROWS = 100
_KEY_DAYS = 397
Name = Annotated[str, Form(max_length=40)]
Shown = Annotated[str, Form(max_length=80)]
Areas = Annotated[str, Form(max_length=500)]
Roles = Annotated[list[Role], Form(max_length=len(Role))]
PersonName = Annotated[str, Path(max_length=40)]
PeopleReader = Annotated[Actor, needs(Permission.PEOPLE_READ)]
PeopleEditor = Annotated[Actor, needs(Permission.PEOPLE_EDIT)]


# -- people -----------------------------------------------------------------------------


def _row(presenter: Presenter, person: Person) -> dict[str, Any]:
    words = presenter.words
    return {
        "name": person.name,
        "shown": person.shown,
        "roles_text": ", ".join(words.word("role", role) for role in sorted(person.roles)),
        "areas_text": presenter.areas(person.areas),
        "unit_text": person.unit or "",
        "lacks_unit": not person.unit and bool(person.roles) and person.roles <= UNIT_ROLES,
        "has_second_factor": person.second_factor is not None,
        "is_disabled": person.disabled_at is not None,
        "created_text": presenter.time(time_or_none(person.created_at)),
        "created_by": person.created_by,
    }


@router.get("/people")
def people(request: Request, site: SiteOf, actor: PeopleReader) -> Response:
    """Everybody who may sign in, and the form for a new person."""
    return _people(request, site)


def _people(
    request: Request, site: Site, problem: str = "", status: int = 200, **entered: Any
) -> Response:
    presenter = site.presenter(request)
    return site.page(
        request,
        "people.html",
        status_code=status,
        people=[_row(presenter, person) for person in site.store.people()],
        roles=list(Role),
        problem=problem,
        entered={"name": "", "shown": "", "areas": "", "roles": [], "unit": "", **entered},
        units=_units(site),
    )


@router.post("/people")
def create(
    request: Request,
    site: SiteOf,
    actor: PeopleEditor,
    name: Name,
    shown: Shown = "",
    areas: Areas = "",
    roles: Roles = [],  # noqa: B006 - FastAPI copies it
    unit: Name = "",
) -> Response:
    """Make a person; they sign in first by the link that is shown once."""
    try:
        covered = areas.replace(",", " ").split()
        site.people.create(name, roles, covered, by=actor, shown=shown, unit=unit)
    except PersonError as error:
        entered = {"name": name, "shown": shown, "areas": areas, "roles": roles, "unit": unit}
        return _people(request, site, str(error), 422, **entered)
    return _person_with_link(request, site, actor, name)


def _person_with_link(request: Request, site: Site, actor: Actor, name: str) -> Response:
    token = site.people.make_link(name, by=actor)
    link = f"{request.url.scheme}://{request.url.netloc}/sign-in/link/{token}"
    return _person(request, site, name, link=link)


def _person(
    request: Request, site: Site, name: str, *, link: str = "", problem: str = "", status: int = 200
) -> Response:
    person = site.store.person(name)
    if person is None:
        raise HTTPException(404, f"there is nobody called {name}")
    presenter = site.presenter(request)
    return site.page(
        request,
        "person.html",
        status_code=status,
        person=person,
        row=_row(presenter, person),
        roles=list(Role),
        link=link,
        problem=problem,
        units=_units(site),
    )


def _units(site: Site) -> list[Unit]:
    return sorted(FeedDesk(site.store, site.clock).units(), key=lambda one: one.unit)


@router.get("/people/{name}")
def person(request: Request, site: SiteOf, actor: PeopleReader, name: PersonName) -> Response:
    """One person."""
    return _person(request, site, name)


@router.post("/people/{name}")
def change(
    request: Request,
    site: SiteOf,
    actor: PeopleEditor,
    name: PersonName,
    version: Annotated[int, Form(ge=1, le=2**62)],
    shown: Shown = "",
    areas: Areas = "",
    roles: Roles = [],  # noqa: B006 - FastAPI copies it
    is_disabled: Annotated[bool, Form()] = False,
    unit: Name = "",
) -> Response:
    """Change roles, areas, unit and whether they may sign in; refused if somebody was faster."""
    try:
        site.people.change(
            name,
            by=actor,
            version=version,
            roles=roles,
            areas=areas.replace(",", " ").split(),
            shown=shown,
            is_disabled=is_disabled,
            unit=unit,
        )
    except StaleVersionError:
        words = site.words(request)
        said = words.text("Somebody else changed this since you opened it. Look again.")
        return _person(request, site, name, problem=said, status=409)
    except PersonError as error:
        return _person(request, site, name, problem=str(error), status=422)
    return RedirectResponse(f"/people/{name}", _SEE_OTHER)


@router.post("/people/{name}/link")
def link(request: Request, site: SiteOf, actor: PeopleEditor, name: PersonName) -> Response:
    """Show a link that signs the person in once."""
    if site.store.person(name) is None:
        raise HTTPException(404, f"there is nobody called {name}")
    return _person_with_link(request, site, actor, name)


@router.post("/people/{name}/second-factor")
def reset(request: Request, site: SiteOf, actor: PeopleEditor, name: PersonName) -> Response:
    """Forget a lost authenticator."""
    try:
        site.people.reset_second_factor(name, by=actor)
    except PersonError as error:
        raise HTTPException(404, str(error)) from error
    return RedirectResponse(f"/people/{name}", _SEE_OTHER)


# -- audit -----------------------------------------------------------------------------


@router.get("/audit")
def audit(
    request: Request,
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.AUDIT_READ)],
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    who: Annotated[str, Query(max_length=80)] = "",
    what: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Who did what, the newest first."""
    return _audit(request, site, before=before, who=who, what=what)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return str(value)


def _audit(
    request: Request,
    site: Site,
    *,
    before: int | None = None,
    who: str = "",
    what: str = "",
    verdict: Any = None,
) -> Response:
    presenter = site.presenter(request)
    rows = site.store.audit_rows(_SHOWN_ROWS + 1, before, who, what)
    seals = site.store.audit_seals()
    shown = [
        {
            "seq": row.seq,
            "at_text": presenter.time(time_or_none(row.at)),
            "actor": row.actor,
            "roles_text": ", ".join(presenter.words.word("role", role) for role in row.roles),
            "action": row.action,
            "subject": row.subject,
            "outcome": row.outcome,
            "outcome_text": presenter.words.word("outcome", row.outcome),
            "detail": [
                (name, _text(value))
                for name, value in sorted(row.detail.items())
                if value is not None
            ],
            "digest": row.digest,
        }
        for row in rows[:_SHOWN_ROWS]
    ]
    return site.page(
        request,
        "audit.html",
        rows=shown,
        next_before=rows[_SHOWN_ROWS - 1].seq if len(rows) > _SHOWN_ROWS else None,
        who=who,
        what=what,
        head=site.store.audit_head(),
        sealed=presenter.time(time_or_none(seals[-1].at)) if seals else "",
        verdict=verdict,
    )


@router.post("/audit/verify")
def verify(
    request: Request, site: SiteOf, actor: Annotated[Actor, needs(Permission.AUDIT_READ)]
) -> Response:
    """Walk the whole chain now, and note that somebody did."""
    verdict = site.audit.verify()
    detail = {"rows": verdict.rows, "is_intact": verdict.is_intact}
    site.audit.note(actor, "audit.verify", detail=detail)
    return _audit(request, site, verdict=verdict)


# -- settings -----------------------------------------------------------------------------


@router.get("/settings")
def settings(
    request: Request, site: SiteOf, actor: Annotated[Actor, needs(Permission.SETTINGS_READ)]
) -> Response:
    """What this central runs with, who may do what, keys of programs, webhooks."""
    return _settings(request, site)


def _settings(request: Request, site: Site, *, new_key: str = "", problem: str = "") -> Response:
    presenter = site.presenter(request)
    chosen, now = site.settings, site.clock.wall()
    values = {
        "tenant": chosen.tenant,
        "http": f"{chosen.http_host}:{chosen.http_port}",
        "second_factor": presenter.value(chosen.needs_second_factor),
        "utc_offset_minutes": chosen.utc_offset_minutes,
        "broker": chosen.broker_kind.value if chosen.broker is None else chosen.broker.host,
        "enrolment": f"{chosen.enrol_host}:{chosen.enrol_port}" if chosen.enrol_host else "–",
        "certificate_days": chosen.certificate_days,
        "batch_messages": chosen.batch_messages,
        "receipt_interval_ms": chosen.receipt_interval_ms,
        "places": len(chosen.places),
    }
    keys = [
        {
            "id": key.hashed,
            "label": key.label,
            "person": key.person,
            "expires_text": presenter.time(time_or_none(key.expires_at)),
            "is_over": key.revoked_at is not None or key.expires_at <= now,
        }
        for key in site.store.program_keys()
    ]
    return site.page(
        request,
        "settings.html",
        status_code=422 if problem else 200,
        values=[(presenter.words.word("setting", name), value) for name, value in values.items()],
        keys=keys,
        people=[person.name for person in site.store.people() if person.disabled_at is None],
        hooks=[(c.target, c.progress) for c in site.couriers],
        roles=list(Role),
        permissions=[(p.value, PERMISSIONS[p]) for p in Permission],
        new_key=new_key,
        problem=problem,
    )


@router.post("/settings/keys")
def make_key(
    request: Request,
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.SETTINGS_EDIT)],
    person: Name,
    label: Annotated[str, Form(max_length=80)],
    days: Annotated[int, Form(ge=1, le=_KEY_DAYS)] = 90,
) -> Response:
    """Make a key with which a program acts for a person; it is shown once."""
    try:
        key = site.people.make_key(person, label, days, by=actor)
    except (PersonError, RefusedError) as error:
        return _settings(request, site, problem=str(error))
    return _settings(request, site, new_key=key)


@router.post("/settings/keys/revoke")
def revoke_key(
    request: Request,
    site: SiteOf,
    actor: Annotated[Actor, needs(Permission.SETTINGS_EDIT)],
    key: Annotated[str, Form(max_length=64)],
) -> Response:
    """Let a program's key open nothing more."""
    site.people.revoke_key(key, by=actor)
    return RedirectResponse("/settings", _SEE_OTHER)
