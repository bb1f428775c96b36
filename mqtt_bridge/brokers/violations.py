"""What a broker refused, read from its log: who wanted what, counted, never more than is sane.

A log line holds words that a stranger chose (client ids, topics). The name of the culprit is taken
only from where the broker itself put it.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from contract.access import Action, device_may, owner_of

READ_BYTES = 1024 * 1024
"""Read of a log at once; a flood beyond that is read at the next look."""

_MAX_TOPIC_CHARS = 200
_LOOK_UP_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A client that wanted what the table of permissions does not give it."""

    client: str
    """Common name of its certificate; empty if the broker no longer knows it."""
    action: Action
    topic: str

    @property
    def owner(self) -> str:
        """The device whose topic it is; empty where the topic names none."""
        return owner_of(self.topic) or ""


class LogTail:
    """New whole lines of a log, over restarts of the reader and turns of the log."""

    def __init__(self, path: Path, bookmark: Path, max_bytes: int | None = None) -> None:
        """``max_bytes``: the log is emptied beyond that, for a broker that never turns its own."""
        self._path = path
        self._bookmark = bookmark
        self._max_bytes = max_bytes
        self._place = self._remembered()

    def lines(self) -> list[str]:
        """Return what was added since the last call, a bounded piece at a time."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                inode, offset = self._place
                if inode != found.st_ino or offset > found.st_size:
                    offset = 0  # a new log, or one that was emptied
                file.seek(offset)
                piece = file.read(READ_BYTES)
        except OSError:
            return []  # there is no log yet
        end = piece.rfind(b"\n") + 1
        if not end and len(piece) == READ_BYTES:
            end = len(piece)  # no line is so long: pass it over
        self._remember(found.st_ino, offset + end)
        if self._max_bytes is not None and self._place[1] > self._max_bytes:
            os.truncate(self._path, 0)
            self._remember(found.st_ino, 0)
        return piece[:end].decode("utf-8", "replace").splitlines()

    def _remembered(self) -> tuple[int, int]:
        try:
            inode, offset = self._bookmark.read_text(encoding="ascii").split()
            return int(inode), int(offset)
        except (OSError, ValueError):
            return 0, 0

    def _remember(self, inode: int, offset: int) -> None:
        if (inode, offset) == self._place:
            return
        self._place = inode, offset
        try:
            self._bookmark.write_text(f"{inode} {offset}\n", encoding="ascii")
        except OSError as error:
            log.warning("bookmark_not_written", problem=error.strerror)


_DENIED = re.compile(
    r"\d+: Denied PUBLISH from (\S+) \(d\d, q\d, r\d, m\d+, '(.*)', \.\.\. \(\d+ bytes\)\)"
)
_SUBSCRIBES = re.compile(r"\d+: Received SUBSCRIBE from (\S+)")
_WANTED = re.compile(r"\d+: \t(.*) \(QoS \d\)")


def mosquitto_violations(
    lines: Iterable[str], tenants: dict[str, str], central: str
) -> list[Violation]:
    """Read mosquitto's debug log, in which a client's id is its certificate's name.

    It grants any subscription, so that what was asked is compared with the table here. ``tenants``
    maps each granted device to its tenant.
    """
    found: list[Violation] = []
    subscriber: str | None = None
    for line in lines:
        if (denied := _DENIED.fullmatch(line)) is not None:
            found.append(_violation(denied[1], Action.PUBLISH, denied[2]))
            subscriber = None
        elif (subscribes := _SUBSCRIBES.fullmatch(line)) is not None:
            subscriber = subscribes[1]
        elif (wanted := _WANTED.fullmatch(line)) is not None and subscriber is not None:
            tenant = tenants.get(subscriber, "")
            if subscriber != central and not device_may(
                Action.SUBSCRIBE, wanted[1], tenant=tenant, device=subscriber
            ):
                found.append(_violation(subscriber, Action.SUBSCRIBE, wanted[1]))
        else:
            subscriber = None
    return found


_NATS = re.compile(
    r"\[\d+\] \S+ \S+ \[ERR\] \S+ - mid:(\d+) - "
    r".* - (Publish|Subscription) Violation - Subject \"([^\"]*)\".*"
)
_NATS_MONITOR = re.compile(r".*\[INF\] Starting http monitor on 127\.0\.0\.1:(\d+)")


def nats_violations(lines: Iterable[str], name_of: Callable[[int], str]) -> list[Violation]:
    """Read nats-server's log, which has the number of a connection and the id it chose itself.

    ``name_of`` tells whose connection it was.
    """
    found: list[Violation] = []
    names: dict[int, str] = {}
    for line in lines:
        match = _NATS.fullmatch(line)
        if match is None:
            continue
        number = int(match[1])
        if number not in names:
            names[number] = name_of(number)
        action = Action.PUBLISH if match[2] == "Publish" else Action.SUBSCRIBE
        topic = match[3].replace(".", "/").replace("/>", "/#").replace("*", "+")
        found.append(_violation(names[number], action, "#" if topic == ">" else topic))
    return found


def nats_monitor_port(log_text: str) -> int | None:
    """Loopback port of the latest monitor that a log tells of."""
    ports = _NATS_MONITOR.findall(log_text)
    return int(ports[-1]) if ports else None


def nats_client_name(port: int, number: int) -> str:
    """Ask nats-server's monitor for the certificate's name behind a connection, open or closed."""
    url = f"http://127.0.0.1:{port}/connz?cid={number}&auth=1&state=any"
    try:
        with urllib.request.urlopen(url, timeout=_LOOK_UP_S) as answer:
            connections = json.load(answer)["connections"]
        user = str(connections[0]["authorized_user"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return user.removeprefix("CN=")


def _violation(client: str, action: Action, topic: str) -> Violation:
    return Violation(client=client, action=action, topic=topic[:_MAX_TOPIC_CHARS])
