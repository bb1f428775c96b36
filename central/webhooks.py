"""Webhooks: events to other systems, signed, each at least once and in order.

Headers and signature are those of Standard Webhooks 1.0: ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature: v1,BASE64`` (HMAC-SHA256 over ``id.timestamp.body``). How far each target has
come lies in a file, so that a restart loses nothing; the id of an event stays the same when it
comes again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import random
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from central.store.interface import Event, Store, StoreUnavailableError
from contract.clock import Clock, UnixMicros
from contract.codec import rfc3339
from contract.files import replace_durably

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
MIN_SECRET_BYTES = 24
TIMEOUT_S = 10.0
LONGEST_WAIT_S = 600.0
_BATCH = 50
_IDLE_S = 1.0
_MAX_DOUBLINGS = 10

log = structlog.get_logger("central")


class WebhookError(ValueError):
    """A target that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One receiver."""

    name: str
    url: str
    secret_file: Path
    kinds: frozenset[str] = frozenset({"alert"})


@dataclass(slots=True)
class Progress:
    """How far a target has come, for the settings page."""

    cursor: int | None = None
    failures: int = 0
    problem: str = ""
    wait_s: float = 0.0
    sent: int = field(default=0)


def check_url(url: str) -> str:
    """Return the address if events may go there: HTTPS, or this machine. Raises WebhookError."""
    parts = urlsplit(url)
    is_here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise WebhookError(f"{url!r}: events leave this machine over https only")
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise WebhookError(f"{url!r}: an address of the form https://host/path")
    return url


def read_secret(path: Path) -> bytes:
    """Read ``whsec_`` and base64; raises WebhookError."""
    try:
        text = path.read_text(encoding="ascii").strip()
        raw = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise WebhookError(f"{path.name}: no secret in it: {error}") from error
    if len(raw) < MIN_SECRET_BYTES:
        raise WebhookError(f"{path.name}: a secret has at least {MIN_SECRET_BYTES} bytes")
    return raw


def sign(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the signature header."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A target is where the operator said it is."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Courier:
    """Carries events to one target; :meth:`run` in a thread until :meth:`stop`."""

    def __init__(
        self, store: Store, target: Target, folder: Path, tenant: str, clock: Clock
    ) -> None:
        """Raise WebhookError for an address or a secret that cannot be used."""
        check_url(target.url)
        self._secret = read_secret(target.secret_file)
        self._store = store
        self.target = target
        self._file = folder / f"{target.name}.json"
        self._tenant = tenant
        self._clock = clock
        self._stopping = threading.Event()
        self._opener = urllib.request.build_opener(_NoRedirects)
        self.progress = Progress(self._read_cursor())

    def _read_cursor(self) -> int | None:
        try:
            return int(json.loads(self._file.read_text(encoding="utf-8"))["event_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a new target begins with what happens from now on

    def _keep_cursor(self, event_id: int) -> None:
        self.progress.cursor = event_id
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_durably(self._file, json.dumps({"event_id": event_id}).encode())

    def run(self) -> None:
        """Carry until asked to stop."""
        while not self._stopping.is_set():
            try:
                wait_s = self.step()
            except (StoreUnavailableError, OSError) as error:
                log.warning("webhook_waits", target=self.target.name, problem=str(error))
                wait_s = LONGEST_WAIT_S / 60
            self._stopping.wait(wait_s)

    def stop(self) -> None:
        """End the thread at its next breath."""
        self._stopping.set()

    def step(self) -> float:
        """Carry what is waiting; returns seconds until it is worth to try again."""
        progress = self.progress
        if progress.cursor is None:
            self._keep_cursor(self._store.last_event_id())
        assert progress.cursor is not None
        events = self._store.events_after(progress.cursor, _BATCH)
        done = progress.cursor
        problem = ""
        for event in events:
            if event.kind.value in self.target.kinds:
                problem = self._send(event)
                if problem:
                    break
                progress.sent += 1
            done = event.id
        if done != progress.cursor:
            self._keep_cursor(done)
        progress.problem = problem
        if not problem:
            progress.failures, progress.wait_s = 0, 0.0
            return 0.0 if len(events) == _BATCH else _IDLE_S
        progress.failures += 1
        longest = min(2.0 ** min(progress.failures, _MAX_DOUBLINGS), LONGEST_WAIT_S)
        progress.wait_s = longest * (0.5 + random.random() / 2)  # noqa: S311 - spreads retries
        log.warning("webhook_failed", target=self.target.name, problem=problem)
        return progress.wait_s

    def _send(self, event: Event) -> str:
        """Send one event; returns what went wrong, empty if nothing did."""
        body = json.dumps(
            {
                "type": event.kind.value,
                "timestamp": rfc3339(UnixMicros(event.at)),
                "tenant": self._tenant,
                "data": event.data,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        message_id = f"{self._tenant}-{event.id}"
        now_s = self._clock.wall() // 1_000_000
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self.target.url,
            data=body,
            method="POST",
            headers={
                "content-type": "application/json",
                "user-agent": "qianshao-webhook/1",
                "webhook-id": message_id,
                "webhook-timestamp": str(now_s),
                "webhook-signature": sign(self._secret, message_id, now_s, body),
            },
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            error.close()
            return f"answered {error.code}"
        except (OSError, http.client.HTTPException) as error:
            return f"not reached: {error}"
        return ""
