"""Linking visits over machines, under an order of two officers and never without one.

Each round takes the orders in force: visits with their cards are sealed to each machine that the
order names and handed to the central, which cannot read them; what waits for this machine is
fetched, compared with its own visits and dropped. Only number, time and similarity are reported.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from atm_face.day_visits import DayVisits
from atm_face.visit_parcels import LinkError, ParcelError
from contract.clock import Clock, UnixMicros
from contract.cosign import read_body
from contract.messages import ID_BYTES, MAX_LINKED, LinkedVisit, VisitLinkReport
from contract.orders import CrossAtmLink
from contract.topics import check_id
from contract.visit_links import LINKS_PATH, MAX_PARCEL_BYTES, MAX_WAITING
from edge_agent.atm.link_book import LinkBook

TIMEOUT_S = 30.0
MAX_NAMES_BYTES = 64 * 1024
_DIGEST_BYTES = 32

log = structlog.get_logger("links")


class LinkPortError(OSError):
    """The central's port refused a step, or answered what is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A parcel that waits for this machine at the central."""

    digest: bytes
    order_id: bytes
    sender: str


class LinkPort(Protocol):
    """The central's port for machines. Every call raises OSError."""

    def put(self, order_id: bytes, recipient: str, parcel: bytes) -> None:
        """Hand a parcel over; the same bytes again change nothing."""

    def waiting(self) -> list[Waiting]:
        """What waits for this machine, oldest first."""

    def fetch(self, digest: bytes) -> bytes:
        """Return a parcel's bytes."""

    def drop(self, digest: bytes) -> None:
        """Say that a parcel was compared; one that is gone is no error."""


class HttpsLinkPort:
    """The port over mutual TLS, a connection for each call."""

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext]) -> None:
        self._url, self._tls = url, tls

    def put(self, order_id: bytes, recipient: str, parcel: bytes) -> None:
        """See :class:`LinkPort`."""
        self._ask("PUT", f"/{order_id.hex()}/{recipient}", body=parcel)

    def waiting(self) -> list[Waiting]:
        """See :class:`LinkPort`."""
        return read_names(self._ask("GET", "", most=MAX_NAMES_BYTES))

    def fetch(self, digest: bytes) -> bytes:
        """See :class:`LinkPort`."""
        return self._ask("GET", f"/{digest.hex()}", most=MAX_PARCEL_BYTES)

    def drop(self, digest: bytes) -> None:
        """See :class:`LinkPort`."""
        self._ask("DELETE", f"/{digest.hex()}")

    def _ask(self, method: str, path: str, *, body: bytes | None = None, most: int = 4096) -> bytes:
        parts = urlsplit(self._url)
        if parts.scheme != "https" or not parts.hostname:
            raise LinkPortError(f"{self._url!r} is no https:// address")
        line = http.client.HTTPSConnection(
            parts.hostname, parts.port or 443, timeout=TIMEOUT_S, context=self._tls()
        )
        with contextlib.closing(line):
            try:
                line.request(method, LINKS_PATH + path, body)
                answer = line.getresponse()
                # One byte more than there may be: a longer parcel is then no parcel.
                raw = answer.read(most + 1)
            except http.client.HTTPException as error:
                raise LinkPortError(f"the answer is cut: {type(error).__name__}") from None
        if not 200 <= answer.status < 300:
            raise LinkPortError(f"{method}: HTTP status {answer.status}{_words(raw)}")
        return raw


def read_names(raw: bytes) -> list[Waiting]:
    """Read what the port says waits; raises LinkPortError."""
    try:
        rows = json.loads(raw)["parcels"]
        found = [
            Waiting(
                digest=bytes.fromhex(row["digest"]),
                order_id=bytes.fromhex(row["order"]),
                sender=check_id(row["from"], "machine"),
            )
            for row in rows[:MAX_WAITING]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LinkPortError(f"the answer is no list of parcels: {type(error).__name__}") from None
    if any(len(w.digest) != _DIGEST_BYTES or len(w.order_id) != ID_BYTES for w in found):
        raise LinkPortError("the answer is no list of parcels: lengths")
    return found


def _words(raw: bytes) -> str:
    """The problem that an answer names, for the log."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        said: Any = json.loads(raw)["problem"]
        return f": {str(said)[:200]}"
    return ""


class VisitLinks:
    """One machine's side. :meth:`step` blocks; one thread calls it."""

    def __init__(
        self,
        book: LinkBook,
        port: LinkPort,
        visits: DayVisits,
        *,
        device: str,
        own: X25519PrivateKey,
        clock: Clock,
        orders: Callable[[], dict[bytes, bytes]],
        report: Callable[[VisitLinkReport], None],
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        """``orders``: those in force now, by id; ``report`` returns when a report is durable.

        ``on_step`` is called between any two steps: where a test kills the process.
        """
        self._book, self._port, self._visits = book, port, visits
        self._device, self._own, self._clock = device, own, clock
        self._orders, self._report, self._on_step = orders, report, on_step
        self._seen: dict[tuple[bytes, str], int] = {}
        """As the book has it, and beyond that what was looked at in vain since the start."""
        self.counters = dict.fromkeys(("sent", "compared", "linked", "unreadable"), 0)

    def step(self) -> list[str]:
        """Do one round; returns what could not be done, which the next round tries again."""
        orders = self._orders()
        self._book.keep_only(orders)
        if not orders:
            return []
        problems = list(self._seal(orders))
        problems += self._send()
        problems += self._compare()
        return problems

    # -- to others ---------------------------------------------------------------------------------

    def _seal(self, orders: dict[bytes, bytes]) -> Iterator[str]:
        self._seen = {key: at for key, at in self._seen.items() if key[0] in orders}
        for order_id, raw in orders.items():
            body = read_body(raw)
            assert isinstance(body, CrossAtmLink)
            named = [one.device for one in body.machines or () if one.device != self._device]
            groups: dict[int, list[str]] = {}
            for name in named:
                groups.setdefault(self._served(order_id, name), []).append(name)
            for after, names in groups.items():
                try:
                    self._seal_for(order_id, raw, names, after)
                except LinkError as error:
                    yield str(error)

    def _served(self, order_id: bytes, name: str) -> int:
        """Number of the visit up to which a machine has been served, or none was for it."""
        at = self._seen.get((order_id, name)) or self._book.up_to(order_id, name)
        return at if at <= self._visits.last_number() else 0  # the day's file was made anew

    def _seal_for(self, order_id: bytes, raw: bytes, names: list[str], after: int) -> None:
        """Seal what is new; each visit is opened once for all machines."""
        is_last = False
        while not is_last:
            made = self._visits.parcels(raw, names, now_us=self._clock.wall(), after=after)
            if made.raw:
                self._book.add(order_id, made.raw, made.up_to)
                self._on_step("sealed")
            after, is_last = made.up_to, made.is_last
        self._seen |= {(order_id, name): after for name in names}

    def _send(self) -> Iterator[str]:
        for one in self._book.outgoing():
            if one.order_id not in self._orders():  # it may have ended since the round began
                continue
            try:
                self._port.put(one.order_id, one.recipient, one.parcel)
            except OSError as error:
                yield f"to {one.recipient}: {error}"
                continue
            self._on_step("put")
            self._book.took(one.number)
            self.counters["sent"] += 1
            log.info("parcel_sent", order=one.order_id.hex(), to=one.recipient)

    # -- from others -------------------------------------------------------------------------------

    def _compare(self) -> Iterator[str]:
        # Thousands of machines have the order; only those that it names ask the central.
        if not any(self._may_compare(raw) for raw in self._orders().values()):
            return
        try:
            waiting = self._port.waiting()
        except OSError as error:
            yield str(error)
            return
        for one in waiting:
            raw = self._orders().get(one.order_id)
            if raw is None:
                continue  # the order has not come yet, or is over: then the central erases it
            try:
                self._take(one, raw)
            except (OSError, LinkError) as error:
                yield f"from {one.sender}: {error}"

    def _may_compare(self, raw: bytes) -> bool:
        body = read_body(raw)
        return isinstance(body, CrossAtmLink) and body.key_of(self._device) is not None

    def _take(self, one: Waiting, raw_order: bytes) -> None:
        if not self._book.is_compared(one.digest):
            parcel = self._port.fetch(one.digest)
            self._on_step("fetched")
            if one.order_id not in self._orders():
                raise LinkError("the order ended before its parcel was compared")
            report = self._judge(one, raw_order, parcel)
            self._report(report)
            self._on_step("reported")
            self._book.note_compared(one.digest, one.order_id)
            self.counters["compared" if report.is_opened else "unreadable"] += 1
            self.counters["linked"] += report.linked
        self._on_step("noted")
        self._port.drop(one.digest)

    def _judge(self, one: Waiting, raw_order: bytes, parcel: bytes) -> VisitLinkReport:
        """Compare; a parcel that does not open is reported as that, once, and is done with."""
        now = self._clock.wall()
        fields: dict[str, Any] = {
            "parcel": one.digest, "order_id": one.order_id, "sender": one.sender, "at": now,
        }  # fmt: skip
        try:
            found = self._visits.compare(
                raw_order, parcel, self._own, sender=one.sender, now_us=now
            )
        except ParcelError as error:
            log.warning("parcel_unreadable", sender=one.sender, problem=str(error))
            return VisitLinkReport(is_opened=False, **fields)
        alike = sorted(found.alike, key=lambda visit: (-visit.similarity, visit.visit))
        log.info("parcel_compared", sender=one.sender, faces=found.faces, linked=len(alike))
        return VisitLinkReport(
            is_opened=True,
            faces=found.faces,
            compared=found.compared,
            linked=len(alike),
            visits=tuple(
                LinkedVisit(
                    visit=one.visit,
                    captured_at=UnixMicros(one.captured_us),
                    similarity=one.similarity,
                )
                for one in alike[:MAX_LINKED]
            ),
            **fields,
        )
