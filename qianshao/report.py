"""``qianshao report``: a central's daily and monthly reports, and the audit of typed figures."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
FORMS = ("text", "json", "csv", "xlsx", "pdf")


def add_report_commands(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``daily``, ``monthly`` and ``audit``."""
    for word, sentence in (
        ("daily", "the report of one day, as it is known now"),
        ("monthly", "the report of one month, as it is known now"),
    ):
        parser = kinds.add_parser(word, help=sentence, description=sentence)
        parser.add_argument("--config", type=Path, required=True, metavar="FILE")
        parser.add_argument("--date", metavar="YYYY-MM-DD", help="a day of the period (today)")
        parser.add_argument("--area", metavar="CODE", help="division (the central's own)")
        parser.add_argument("--format", choices=FORMS, default="text")
        parser.add_argument("--json", action="store_true", help="the same as --format json")
        parser.add_argument("--lang", choices=("zh-CN", "en"), default="zh-CN")
        parser.add_argument("--out", type=Path, metavar="FILE", help="write here, not to stdout")
        parser.add_argument("--keep", action="store_true", help="keep it as a version too")
        parser.add_argument("--reason", default="", help="of a further version")
        parser.set_defaults(run=main_report, span="day" if word == "daily" else "month")
    sentence = "put each percentage, sum and average of a text or CSV to the test"
    audit = kinds.add_parser("audit", help=sentence, description=sentence)
    audit.add_argument("file", type=Path, metavar="FILE", help="text or CSV, UTF-8; - for stdin")
    audit.add_argument("--json", action="store_true", help="print the findings as JSON")
    audit.set_defaults(run=main_audit)


def main_report(args: argparse.Namespace) -> int:
    """Make a report; exit 2 for a day, a division or a configuration that cannot be used."""
    from central.actor import Actor
    from central.alert_states import RuleError
    from central.clocks import day_of
    from central.config import load_settings
    from central.reports import ReportDesk, report_period
    from central.statistics import Span
    from central.store import MigrationError, StoreUnavailableError
    from central.store.opening import open_store
    from contract.clock import SystemClock
    from contract.settings import ConfigError

    clock = SystemClock()
    try:
        day = day_of(clock.wall()) if args.date is None else dt.date.fromisoformat(args.date)
        period = report_period(Span(args.span), day)
        settings = load_settings(args.config)
        area = settings.area if args.area is None else args.area
        if not (len(area) == 6 and area.isascii() and area.isdigit()):
            raise ValueError("--area: a division has six digits")
    except (ConfigError, ValueError) as error:
        print(f"qianshao report: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        store = open_store(settings.store_path, settings.store_url)
    except (StoreUnavailableError, MigrationError) as error:
        print(f"qianshao report: {error}", file=sys.stderr)
        return EXIT_FAILED
    try:
        desk = ReportDesk(store, clock, settings.area)
        version = 0
        if args.keep:
            terminal = Actor("terminal", frozenset(), frozenset({area}))
            version = desk.keep(terminal, period, area, args.reason).revision
        made = desk.report(period, area)
    except (RuleError, StoreUnavailableError) as error:
        print(f"qianshao report: {error}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        store.close()
    form = "json" if args.json else args.format
    raw = _in_form(made, form, args.lang, settings.utc_offset_minutes, version)
    return _put(raw, args.out)


def _in_form(made: dict[str, Any], form: str, lang: str, offset: int, version: int) -> bytes:
    from central.reports import table
    from central.web.reports import report_bytes
    from central.web.words import Language, read_catalogue

    words = read_catalogue(Language(lang))
    if form == "json":
        return (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()
    if form != "text":
        return report_bytes(made, form, words, offset_minutes=offset, version=version)
    lines = [table.title(made, words), table.subtitle(made, words, offset, version), ""]
    for name, now, _, base, percent, _, ago, yearly, _ in table.rows(made, words):
        sides = "" if base is None else f"  {base} {percent}  {ago} {yearly}"
        lines.append(f"{name}: {now}{sides}")
    return ("\n".join(lines) + "\n").encode()


def _put(raw: bytes, out: Path | None) -> int:
    if out is None:
        sys.stdout.buffer.write(raw)
        return EXIT_OK
    try:
        out.write_bytes(raw)
    except OSError as error:
        print(f"qianshao report: {out}: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def main_audit(args: argparse.Namespace) -> int:
    """Audit a text; exit 0 if all holds, 1 if something does not or cannot be checked."""
    from central.statistics import audit_text

    try:
        raw = sys.stdin.buffer.read() if str(args.file) == "-" else args.file.read_bytes()
        findings = audit_text(raw.decode("utf-8"))
    except OSError as error:
        print(f"qianshao report audit: {args.file}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    except UnicodeDecodeError as error:
        where = f"byte {error.start}: no UTF-8"
        print(f"qianshao report audit: {args.file}: {where}", file=sys.stderr)
        return EXIT_USAGE
    rows = [
        {
            "line": int(finding.place),
            "text": finding.quote,
            "form": finding.form.value,
            "verdict": "unchecked" if finding.audit is None else finding.audit.verdict.value,
            "exact": "" if finding.audit is None else finding.audit.exact,
            "bases": [] if finding.audit is None else list(finding.audit.bases),
            "is_flagged": finding.is_flagged,
        }
        for finding in findings
    ]
    if args.json:
        answer = {"schema": "qianshao-figure-audit/1", "findings": rows}
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        for row in rows:
            mark = "!" if row["is_flagged"] else " "
            bases = ", ".join(str(base) for base in row["bases"][:5])  # type: ignore[index]
            print(
                f"{mark} {row['line']}: {row['verdict']}: {row['text']}  [{row['exact']}] {bases}"
            )
    return EXIT_FAILED if any(row["is_flagged"] for row in rows) else EXIT_OK
