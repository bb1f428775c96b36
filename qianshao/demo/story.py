"""What the demo's processes log, told in plain words."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, TextIO

_DECISIONS = {
    "ALLOW": "cash may go out",
    "ALLOW_DELAYED": "the transfer will go out after the legal delay",
    "DENY": "no cash, please go to the counter",
    "REFER_TO_COUNTER": "no cash from this machine, the counter is offered",
}

_OUTCOMES = {
    "completed": "card, PIN and face were good: the bank approved, notes were taken and booked",
    "declined": "the bank declined; the card went back",
    "reversed": "no notes were paid out; the booking is reversed",
    "partially_reversed": "fewer notes were paid out, and only those are booked",
    "suspense": "nobody knows where the notes are: a person counts, the machine is closed",
}
"""A visit that ended before the bank was asked is told by its decision alone."""


class Story:
    """Prints lines with the seconds since the start; safe from several threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def tell(self, line: str) -> None:
        """Print one line now."""
        with self._lock:
            seconds = time.monotonic() - self._began
            print(f"{seconds:7.1f} s  {line}", file=self._stream, flush=True)

    def tell_once(self, line: str) -> None:
        """Print a line the first time only."""
        with self._lock:
            is_new = line not in self._told
            self._told.add(line)
        if is_new:
            self.tell(line)

    def hear(self, part: str, event: dict[str, Any]) -> None:
        """Tell what a log event of a part means, if it means anything to a newcomer."""
        line = _line(part, event)
        if line is not None:
            self.tell(line)

    def alert(self, alert: dict[str, Any], latency_ms: float | None) -> None:
        """Tell that the page shows an alert."""
        after = (
            "" if latency_ms is None else f", {latency_ms:.0f} ms after the reading that fired it"
        )
        rules = ", ".join(alert["rules"])
        self.tell(
            f"PAGE    alert {alert['id']}: {alert['kind']} from {alert['station']} ({rules}){after}"
        )


def _line(part: str, event: dict[str, Any]) -> str | None:
    name = event["event"]
    if name == "detection_enqueued" and not event.get("is_known"):
        claim = event.get("alert") or "observed only, no alert"
        if event.get("revision"):
            claim = f"{claim}, more evidence (revision {event['revision']})"
        return (
            f"{part:7} sniffer {event.get('sensor')} on {event.get('source')}: {claim} "
            f"({event.get('rules')}); signed as message {event.get('seq')}"
        )
    if name == "withdrawal_decision_enqueued":
        why = f" ({event['reason']})" if event.get("reason") else ""
        return (
            f"{part:7} visit {event.get('visit')}: {event.get('decision')}{why} – "
            f"{_DECISIONS.get(str(event.get('decision')), '')}"
            + (" [simulated camera]" if event.get("is_simulated") else "")
        )
    if name == "withdrawal_step":
        outcome = _OUTCOMES.get(str(event.get("outcome")))
        if event.get("state") != "ended" or outcome is None:
            return None
        return f"{part:7} visit {event.get('visit')}: {outcome}"
    if name == "sensor_ended":
        return (
            f"{part:7} sniffer {event.get('sensor')}: end of the recording, "
            f"{event.get('readings')} readings, {event.get('detections')} reports"
        )
    if name == "link_down":
        return (
            f"{part:7} no connection to the broker ({event.get('detail')}); "
            "what it has to say waits in its outbox"
        )
    plain = {
        "machine_started": "the simulated ATM and its bank are up",
        "central_started": "the central is up",
        "broker_restarted": "the broker had died and was started again",
        "broker_adopted": "the broker was still alive and was taken over",
        "sensor_failed": f"sniffer {event.get('sensor')} failed and is started again",
    }
    return f"{part:7} {plain[name]}" if name in plain else None
