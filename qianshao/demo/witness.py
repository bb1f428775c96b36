"""Watches the page's own event stream, as a browser does, and times every alert on it."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Frame = tuple[str, str, dict[str, Any]]
"""Event name, event id, data."""

_RETRY_S = 0.3
_SILENT_S = 40.0  # the stream's heartbeat comes every 15 s


class Witness:
    """A client of ``/events`` that reconnects with Last-Event-ID until it is stopped."""

    def __init__(
        self, port: int, key: str, on_alert: Callable[[dict[str, Any], float | None], None]
    ) -> None:
        self._port = port
        self._key = key
        self._on_alert = on_alert
        self._last_id: str | None = None
        self._stopping = threading.Event()
        self.alerts: dict[int, str] = {}
        """Kind of each alert that the page showed, by its id."""
        self.latencies_ms: list[float] = []
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a blocked read ends with the process."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._watch()
            self._stopping.wait(_RETRY_S)

    def _watch(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SILENT_S)
        headers = {"Accept-Language": "en", "Authorization": f"Bearer {self._key}"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        try:
            connection.request("GET", "/events", headers=headers)
            for name, event_id, data in _frames(connection.getresponse()):
                self._last_id = event_id
                self._take(name, data)
                if self._stopping.is_set():
                    return
        finally:
            connection.close()

    def _take(self, name: str, data: dict[str, Any]) -> None:
        if name == "snapshot":
            for alert in data["alerts"]:
                self._note(alert, is_live=False)
        elif name == "alert":
            self._note(data["alert"], is_live=True)

    def _note(self, alert: dict[str, Any], *, is_live: bool) -> None:
        known = self.alerts.get(alert["id"])
        if known == alert["kind"]:
            return
        self.alerts[alert["id"]] = alert["kind"]
        latency_ms: float | None = None
        if is_live and known is None and alert["fired_at"]:
            latency_ms = _age_ms(alert["fired_at"])
            self.latencies_ms.append(latency_ms)
        self._on_alert(alert, latency_ms)


def _age_ms(moment: str) -> float:
    return time.time() * 1000 - dt.datetime.fromisoformat(moment).timestamp() * 1000


def _frames(response: http.client.HTTPResponse) -> Iterator[Frame]:
    """Take a server-sent event stream apart (WHATWG HTML section 9.2)."""
    name, event_id, data = "message", "", ""
    for raw in response:
        line = raw.decode("utf-8").rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name, event_id, json.loads(data)
            name, data = "message", ""
        elif field == "event":
            name = value
        elif field == "id":
            event_id = value
        elif field == "data":
            data += value


def percentile(values: list[float], share: float) -> float | None:
    """Nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)
