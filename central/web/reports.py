"""Statistics: reports with charts, their versions and files; typed figures put to the test."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from central.actor import Actor
from central.clocks import day_of
from central.exports import csv_chunks, xlsx
from central.people.permissions import Permission
from central.reports import ReportDesk, figures_digest, report_period, table
from central.reports.build import SPANS, audited
from central.reports.indicators import STATED, Counter
from central.reports.pdf import report_pdf
from central.reports.regulator import header as regulator_header
from central.reports.regulator import monthly_rows, months_before
from central.statistics import Finding, Period, Span, audit_text
from central.statistics.text_audit import MAX_CHARS
from central.store.interface import Json
from central.store.reports import ReportRow
from central.web.access import needs
from central.web.exports import FILE, file_answer, noted
from central.web.exports import Form as FileForm
from central.web.present import Presenter
from central.web.problems import PROBLEMS
from central.web.site import Site, SiteOf
from central.web.words import Words

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api", responses=PROBLEMS)
Reader = Annotated[Actor, needs(Permission.STATISTICS_READ)]
Keeper = Annotated[Actor, needs(Permission.STATISTICS_KEEP)]
ReportForm = Literal["csv", "xlsx", "pdf", "json"]
ReportSpan = Literal["day", "month"]
Day = Annotated[dt.date | None, Query()]
Area = Annotated[str, Query(pattern="^([0-9]{6})?$")]
Line = Annotated[str, Form(max_length=200)]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TYPES = {"csv": "text/csv", "xlsx": _XLSX, "pdf": "application/pdf", "json": "application/json"}
_REPORT_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report as a file.",
        "content": {kind: {} for kind in _TYPES.values() if kind != "application/json"}
        | {"application/json": {"schema": {"type": "object"}}},
    }
}


def desk_of(site: Site) -> ReportDesk:
    """Return the desk that makes reports."""
    return ReportDesk(site.store, site.clock, site.settings.area)


def _area(site: Site, actor: Actor, asked: str) -> str:
    """Return the division that is asked for, or one's own; raises HTTPException for another's."""
    area = asked or site.settings.area
    if not asked and not actor.covers(area):
        area = min(actor.areas, default="")
    if not area or not actor.covers(area):
        raise HTTPException(404, "that division is not one of yours")
    return area


def _period(site: Site, span: str, day: dt.date | None) -> Period:
    today = day_of(site.clock.wall())
    try:
        return report_period(Span(span), day or today)
    except ValueError as error:
        raise HTTPException(404, str(error)) from None


@router.get("/statistics")
def report(
    request: Request, site: SiteOf, actor: Reader, span: ReportSpan = "day", day: Day = None,
    area: Area = "", version: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> HTMLResponse:  # fmt: skip
    """One report: every figure with its bases, its charts and its versions."""
    area, period = _area(site, actor, area), _period(site, span, day)
    versions = desk_of(site).versions(period, area)
    made, shown = _made(site, period, area, versions, version)
    presenter = site.presenter(request)
    words = presenter.words
    return site.page(
        request,
        "report.html",
        title=table.title(made, words),
        subtitle=table.subtitle(made, words, site.settings.utc_offset_minutes, shown),
        header=table.header(words),
        rows=table.rows(made, words),
        wrong=audited(made),
        charts=[
            (name, words.word("indicator", name), list(zip(made["series"]["days"], v, strict=True)))
            for name, v in made["series"].items()
            if name != "days"
        ],
        span=span,
        spans=[s.value for s in SPANS],
        day=period.first.isoformat(),
        before=period.previous.first.isoformat(),
        after=period.end.isoformat(),
        area=area,
        shown=shown,
        versions=[_version_view(presenter, row) for row in versions],
        is_changed=bool(versions) and versions[-1].digest != figures_digest(made),
        query=f"day={period.first}&area={area}&version={shown}&lang={words.language.value}",
    )


def _made(
    site: Site, period: Period, area: str, versions: list[ReportRow], version: int
) -> tuple[Json, int]:
    """Return a kept version, or (0) what is known now."""
    if not version:
        return desk_of(site).report(period, area), 0
    found = next((row for row in versions if row.revision == version), None)
    if found is None:
        raise HTTPException(404, f"there is no version {version}")
    return found.data, version


def _version_view(presenter: Presenter, row: ReportRow) -> dict[str, Any]:
    return {
        "revision": row.revision,
        "made_text": presenter.moment(row.made_at),
        "made_by": row.made_by,
        "reason": row.reason,
        "digest": row.digest,
    }


@router.post("/statistics/keep")
def keep(
    site: SiteOf, actor: Keeper, span: Annotated[ReportSpan, Form()],
    day: Annotated[dt.date, Form()], area: Annotated[str, Form(pattern="^[0-9]{6}$")],
    reason: Line = "",
) -> Response:  # fmt: skip
    """Keep the report as it is known now as a further version."""
    row = desk_of(site).keep(actor, _period(site, span, day), area, reason)
    to = f"/statistics?span={span}&day={day}&area={area}&version={row.revision}"
    return RedirectResponse(to, 303)


# -- typed figures ---------------------------------------------------------------------------------


@router.get("/statistics/audit")
def audit_form(request: Request, site: SiteOf, actor: Reader) -> HTMLResponse:
    """The form in which a text or a table is put to the test."""
    return site.page(request, "audit_figures.html", typed="", findings=None, longest=MAX_CHARS)


@router.post("/statistics/audit")
def audit(
    request: Request, site: SiteOf, actor: Reader,
    typed: Annotated[str, Form(max_length=MAX_CHARS)] = "",
) -> HTMLResponse:  # fmt: skip
    """Say of each percentage, sum and average whether its integers give it; nothing is kept."""
    words = site.words(request)
    found = audit_text(typed)
    return site.page(
        request,
        "audit_figures.html",
        typed=typed,
        longest=MAX_CHARS,
        findings=[finding_view(words, finding) for finding in found],
        flagged=sum(finding.is_flagged for finding in found),
    )


def finding_view(words: Words, finding: Finding) -> dict[str, Any]:
    """Return a finding in the reader's language."""
    found = finding.audit
    verdict = "unchecked" if found is None else found.verdict.value
    bases = () if found is None else found.bases
    return {
        "place": finding.place,
        "quote": finding.quote,
        "form_text": words.word("audit_form", finding.form.value),
        "verdict": verdict,
        "verdict_text": words.word("audit_verdict", verdict),
        "bases": ", ".join(f"{base:,}" for base in bases[:5]) + ("…" if len(bases) > 5 else ""),
        "exact": "" if found is None else found.exact,
        "is_flagged": finding.is_flagged,
    }


# -- the regulator's columns -----------------------------------------------------------------------


@router.get("/statistics/regulator")
def regulator(request: Request, site: SiteOf, actor: Reader, area: Area = "") -> HTMLResponse:
    """The regulator's monthly columns of a year, and the form for what only people know."""
    area, now = _area(site, actor, area), site.clock.wall()
    words = site.words(request)
    counter = Counter(site.store, area, site.settings.area, int(now))
    return site.page(
        request,
        "regulator.html",
        header=[words.word("miit", name) for name in regulator_header()],
        rows=monthly_rows(counter, day_of(now)),
        months=months_before(day_of(now)),
        indicators=STATED,
        area=area,
        stated=site.store.stated_figures(area, months_before(day_of(now))),
    )


@router.post("/statistics/regulator")
def state(
    site: SiteOf, actor: Keeper, indicator: Line, period: Line, value: Line,
    area: Annotated[str, Form(pattern="^[0-9]{6}$")], reason: Line = "",
) -> Response:  # fmt: skip
    """State a figure that no event knows."""
    desk_of(site).state(actor, indicator, period, area, value, reason)
    return RedirectResponse(f"/statistics/regulator?area={area}", 303)


# -- files -----------------------------------------------------------------------------------------


def report_bytes(
    made: Json, form: str, words: Words, *, offset_minutes: int, version: int = 0
) -> bytes:
    """Return a report in one of its forms."""
    if form == "pdf":
        return report_pdf(made, words, offset_minutes=offset_minutes, version=version)
    if form == "xlsx":
        return xlsx(made["first_day"], table.header(words), table.rows(made, words))
    return "".join(csv_chunks(table.EXACT_COLUMNS, table.exact_rows(made))).encode()


@api.get("/reports/{span}.{form}", response_class=Response, responses=_REPORT_FILE)
def report_file(
    request: Request, site: SiteOf, actor: Reader, span: ReportSpan, form: ReportForm,
    day: Day = None, area: Area = "", version: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> Response:  # fmt: skip
    """A report as a file: CSV with integers for programs, XLSX and PDF for people, JSON."""
    area, period = _area(site, actor, area), _period(site, span, day)
    made, shown = _made(site, period, area, desk_of(site).versions(period, area), version)
    site.audit.note(
        actor, "export", "report", detail={"form": form, "span": span, "day": str(period.first)}
    )
    if form == "json":
        return JSONResponse({**made, "version": shown})
    raw = report_bytes(
        made, form, site.words(request), version=shown,
        offset_minutes=site.settings.utc_offset_minutes,
    )  # fmt: skip
    name = f"report-{made['first_day'][: 7 if span == 'month' else 10]}-{area}.{form}"
    disposition = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(raw, media_type=_TYPES[form], headers=disposition)


@api.get("/exports/regulator.{form}", response_class=Response, responses=FILE)
def regulator_file(site: SiteOf, actor: Reader, form: FileForm, area: Area = "") -> Response:
    """The regulator's monthly columns of a year as a file."""
    area, now = _area(site, actor, area), site.clock.wall()
    noted(site, actor, "regulator", form)
    counter = Counter(site.store, area, site.settings.area, int(now))
    rows = monthly_rows(counter, day_of(now))
    return file_answer("regulator", form, regulator_header(), rows)
