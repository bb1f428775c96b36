"""The classic single-site broker: Eclipse mosquitto with mutual TLS and an access list.

What was learnt by running 2.0.11: a QoS 1 publish that the list denies is PUBACKed on 3.1.1 and the
client is then disconnected; a foreign subscription is granted and filtered at delivery; a device
that has lost its grant, or whose certificate was revoked, stays connected until it publishes, so
its session is taken over. Only the debug log names who was denied. Its default queue of 1,000
messages drops silently, hence the limit below.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from queue import Empty

import structlog

from contract import topics
from contract.access import DEVICE_ACCESS, Action
from mqtt_bridge.brokers.interface import (
    MAX_PAYLOAD_BYTES,
    MAX_UNACKED,
    BrokerMissingError,
    DeviceGrant,
)
from mqtt_bridge.brokers.managed import Listener, ManagedBroker
from mqtt_bridge.brokers.violations import LogTail, Violation, mosquitto_violations
from mqtt_bridge.connection import Connection, Session
from mqtt_bridge.events import Opened

MAX_QUEUED = 100_000

LOG_BYTES = 10 * 1024**2
"""mosquitto never turns its log: it is emptied beyond that, once it was read."""

_TAKE_OVER_S = 3.0
_WORDS = {Action.PUBLISH: "write", Action.SUBSCRIBE: "read"}

log = structlog.get_logger(__name__)


class MosquittoBroker(ManagedBroker):
    """A single ``mosquitto``. A device that lost its grant may neither send nor read any more."""

    def __init__(self, folder: Path, listener: Listener, *, binary: Path | None = None) -> None:
        super().__init__(folder, find_mosquitto(binary), "mosquitto.conf", listener)
        self._access = self._folder / "access.acl"
        self._tail = LogTail(
            self._folder / "mosquitto.log", self._folder / "violations.read", LOG_BYTES
        )
        self._crl = listener.crl
        self._papers = listener.papers

    def _files(self) -> dict[Path, str]:
        return {self._access: self._make_access(), self._config: self._make_config()}

    def _port_of(self, config: str) -> int:
        for line in config.splitlines():
            words = line.split()
            if words[:1] == ["listener"] and len(words) == 3 and words[1].isdigit():
                return int(words[1])
        return 0

    def _may_adopt(self, former: str, wanted: str) -> bool:
        return former == wanted

    def _make_config(self) -> str:
        lines = [
            "per_listener_settings false",
            f"listener {self._port} {self._host}",
            f"user {getpass.getuser() if os.geteuid() else 'root'}",
            f"log_dest file {self._folder / 'mosquitto.log'}",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type debug",
            "persistence true",
            f"persistence_location {self._folder}{os.sep}",
            "autosave_on_changes true",
            "autosave_interval 1",
            f"max_queued_messages {MAX_QUEUED}",
            f"max_inflight_messages {MAX_UNACKED}",
            f"message_size_limit {MAX_PAYLOAD_BYTES}",
            "set_tcp_nodelay true",
        ]
        if self._tls is None:
            return "\n".join([*lines, "allow_anonymous true", ""])
        lines += [
            "allow_anonymous false",
            "tls_version tlsv1.2",
            f"cafile {self._tls.ca.resolve()}",
            f"certfile {self._tls.certificate.resolve()}",
            f"keyfile {self._tls.private_key.resolve()}",
            "require_certificate true",
            "use_identity_as_username true",
            "use_username_as_clientid true",
            f"acl_file {self._access}",
        ]
        if self._crl is not None:
            lines.append(f"crlfile {self._crl.resolve()}")
        lines.append("")
        return "\n".join(lines)

    def _make_access(self) -> str:
        """One section for each user; who is not named may nothing."""
        return mosquitto_access(self._central, self._grants)

    def reload(self, grants: Sequence[DeviceGrant] | None = None) -> None:
        """Put grants and certificate files into force; end the sessions of who lost its grant."""
        former = {grant.device for grant in self._grants}
        super().reload(grants)
        for device in sorted(former - {grant.device for grant in self._grants}):
            self._end_session(device)

    def violations(self) -> Sequence[Violation]:
        """What it refused since the last call."""
        tenants = {grant.device: grant.tenant for grant in self._grants}
        return mosquitto_violations(self._tail.lines(), tenants, self._central)

    def _end_session(self, device: str) -> None:
        """Take a device's session over and give it up: SIGHUP leaves it connected (2.0.11).

        The client id is the certificate's name here, so a connection under papers in the device's
        name ends the device's own, and the revocation list keeps it from coming back.
        """
        if self._papers is None or not self.is_running:
            return
        session = Session(address=self.address(self._papers(device)), client_id=device)
        connection = Connection(session)
        connection.start()
        try:
            event = connection.events.get(timeout=_TAKE_OVER_S)
        except Empty:
            event = None
        finally:
            connection.close()
        log.info("session_ended", device=device, is_taken_over=isinstance(event, Opened))


def mosquitto_access(central: str, grants: Sequence[DeviceGrant]) -> str:
    """The access file: one section for each user; who is not named may nothing."""
    lines = [f"user {central}", f"topic readwrite {topics.VERSION}/#", ""]
    for grant in grants:
        lines.append(f"user {grant.device}")
        lines += [
            f"topic {_WORDS[access.action]} {access.filter(grant.tenant, grant.device)}"
            for access in DEVICE_ACCESS
        ]
        lines.append("")
    return "\n".join(lines)


def find_mosquitto(binary: Path | None = None) -> Path:
    """The operator's own program, or the one on PATH or in /usr/sbin."""
    if binary is not None:
        if not os.access(binary, os.X_OK):
            raise BrokerMissingError(str(binary), "no such program, or not executable")
        return binary.resolve()
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        raise BrokerMissingError("mosquitto", "install the Debian package mosquitto")
    return Path(found)
