"""What the doctor found: a word, a sentence, and what to do about it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from contract.clock import Clock
from edge_agent.renewal import renewal_due_at

LOW_BYTES, TIGHT_BYTES = 100 * 1024**2, 1024**3
"""Below the first an outbox cannot take a day; below the second it is time to look."""

CONNECT_S = 3.0


class Verdict(StrEnum):
    """How well one thing is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    words: str
    remedy: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(what: str, words: str) -> Finding:
    """All is well."""
    return Finding(what, Verdict.OK, words)


def warning(what: str, words: str, remedy: str = "") -> Finding:
    """It works, and somebody should look."""
    return Finding(what, Verdict.WARNING, words, remedy)


def failed(what: str, words: str, remedy: str = "") -> Finding:
    """It does not work."""
    return Finding(what, Verdict.FAILED, words, remedy)


def examine(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Run every check; one that fails by itself is a finding and hides no other."""
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a doctor does not die of what he finds
            yield failed(name, f"{type(error).__name__}: {error}")


# -- checks that agents and the central share ---------------------------------------------------


def check_folder(what: str, folder: Path, remedy: str) -> Iterator[Finding]:
    """Is it there, one's own, closed to others, with room?"""
    if not folder.is_dir():
        yield failed(what, f"{folder} is not there", remedy)
        return
    found = folder.stat()
    if os.name != "nt" and stat.S_IMODE(found.st_mode) & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        yield warning(what, f"{folder} has mode {mode:04o}", f"chmod 700 {folder}")
    elif not os.access(folder, os.W_OK):
        yield failed(what, f"{folder} cannot be written by this user", "run as its owner")
    else:
        yield ok(what, str(folder))
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.1f} GB free"
    if free < LOW_BYTES:
        yield failed("disk", words, "make room: nothing more can be kept")
    elif free < TIGHT_BYTES:
        yield warning("disk", words, "make room")
    else:
        yield ok("disk", words)


def check_certificate(
    what: str, path: Path, clock: Clock, remedy: str, *, is_renewed: bool
) -> Iterator[Finding]:
    """Is it there, and within its dates? ``is_renewed``: somebody should renew it in time."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        yield failed(what, f"{path}: {error.strerror}", remedy)
        return
    except ValueError as error:
        yield failed(what, f"{path} holds no certificate: {error}", remedy)
        return
    now = dt.datetime.fromtimestamp(clock.wall() / 1e6, dt.UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        yield failed(
            what,
            f"valid from {begin:%Y-%m-%d %H:%MZ}, this machine's clock says {now:%Y-%m-%d %H:%MZ}",
            "put the clock right",
        )
    elif now > end:
        yield failed(what, f"expired on {end:%Y-%m-%d %H:%MZ}", remedy)
    elif is_renewed and now > renewal_due_at(certificate):
        yield warning(what, f"until {end:%Y-%m-%d}; it should have been renewed by now", remedy)
    else:
        yield ok(what, f"until {end:%Y-%m-%d}, {(end - now).days} days")


def check_clock(clock: Clock) -> Iterator[Finding]:
    """Does the kernel say that the clock is disciplined?"""
    quality = clock.quality()
    if quality.is_synced:
        yield ok("clock", f"disciplined, estimated error {quality.estimated_error_ms} ms")
    else:
        yield warning(
            "clock", "not disciplined: times will be marked so", "run chrony or systemd-timesyncd"
        )


def check_store(what: str, path: Path, *, is_expected: bool) -> Iterator[Finding]:
    """Ask SQLite whether the file is whole; it is only read."""
    if not path.exists():
        if is_expected:
            yield failed(what, f"{path} is not there")
        else:
            yield ok(what, "not there yet: made at the first start")
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            said = store.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        yield failed(what, f"{path}: {error}", "keep the file, see docs/operating.md")
        return
    if said == "ok":
        yield ok(what, f"whole, {path.stat().st_size / 1e6:.1f} MB")
    else:
        yield failed(what, f"{path} is damaged: {said}", "keep the file, see docs/operating.md")


def listens(host: str, port: int) -> bool:
    """Whether somebody answers at an address."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    try:
        with socket.create_connection((target, port), timeout=CONNECT_S):
            return True
    except OSError:
        return False
