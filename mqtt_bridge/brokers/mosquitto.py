"""The classic single-site broker: Eclipse mosquitto with mutual TLS and an access list.

What was learnt by running 2.0.11: a QoS 1 publish that the list denies is PUBACKed on 3.1.1 and the
client is then disconnected; a foreign subscription is granted and filtered at delivery; a device
that has lost its grant stays connected until it publishes. Its default queue of 1,000 messages
drops silently, hence the limit below.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from contract import topics
from mqtt_bridge.brokers.interface import (
    LOOPBACK,
    MAX_PAYLOAD_BYTES,
    MAX_UNACKED,
    BrokerMissingError,
    DeviceGrant,
    own_files,
)
from mqtt_bridge.brokers.process import BrokerProcess, free_port
from mqtt_bridge.ports import BrokerAddress, TlsFiles

MAX_QUEUED = 100_000

log = structlog.get_logger(__name__)


class MosquittoBroker:
    """A single ``mosquitto``; see :class:`mqtt_bridge.brokers.Broker`.

    ``port`` 0 takes any free port and keeps it over restarts. Without ``tls`` everybody may do
    everything: for tests on the loopback only.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: TlsFiles | None,
        grants: Sequence[DeviceGrant] = (),
        central: str = "central",
        host: str = LOOPBACK,
        port: int = 0,
        binary: Path | None = None,
    ) -> None:
        self._folder = own_files(folder)
        self._tls = tls
        self._grants = tuple(grants)
        self._central = topics.check_id(central, "central")
        self._host = host
        self._wanted_port = port
        self._port = port
        self._config = self._folder / "mosquitto.conf"
        self._access = self._folder / "access.acl"
        self._process = BrokerProcess(
            self._folder, [str(find_mosquitto(binary)), "-c", str(self._config)], self._config
        )

    @property
    def port(self) -> int:
        """MQTT port; known after start()."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.pid is not None

    def start(self) -> None:
        """Start or adopt; raises PortTakenError or BrokerFailedError."""
        former = self._config.read_text(encoding="utf-8") if self._config.exists() else ""
        self._port = self._wanted_port or _port_of(former) or free_port(self._host)
        wanted = self._make_config()
        _replace(self._access, self._make_access())
        if self.is_running:
            if former == wanted:
                log.info("broker_adopted", pid=self.pid, port=self._port)
                self._process.hang_up()
                return
            log.info("broker_restarted_for_new_settings", pid=self.pid)
            self._process.stop()
        _replace(self._config, wanted)
        self._process.start(self._host, self._port)

    def stop(self) -> None:
        """End the process, adopted or not."""
        self._process.stop()

    def reload(self, grants: Sequence[DeviceGrant] | None = None) -> None:
        """Put grants into force; a device left out may neither send nor read from now on."""
        if grants is not None:
            self._grants = tuple(grants)
        _replace(self._access, self._make_access())
        self._process.hang_up()

    def ensure(self) -> bool:
        """Start it again if it died."""
        if self.is_running:
            return False
        log.warning("broker_died", port=self._port)
        self.start()
        return True

    def address(self, tls: TlsFiles | None = None) -> BrokerAddress:
        """Where a client on this machine finds it."""
        return BrokerAddress(host=self._host, port=self._port, tls=tls)

    def _make_config(self) -> str:
        lines = [
            "per_listener_settings false",
            f"listener {self._port} {self._host}",
            f"user {getpass.getuser() if os.geteuid() else 'root'}",
            f"log_dest file {self._folder / 'mosquitto.log'}",
            "log_type error",
            "log_type warning",
            "log_type notice",
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
            f"acl_file {self._access}",
            "",
        ]
        return "\n".join(lines)

    def _make_access(self) -> str:
        """One section for each user; who is not named may nothing."""
        version = topics.VERSION
        lines = [f"user {self._central}", f"topic readwrite {version}/#", ""]
        for grant in self._grants:
            lines += [
                f"user {grant.device}",
                f"topic write {version}/{grant.tenant}/up/{grant.device}/#",
                f"topic write {topics.state(grant.tenant, grant.device)}",
                f"topic read {version}/{grant.tenant}/down/{grant.device}/#",
                "",
            ]
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


def _replace(path: Path, text: str) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.chmod(0o600)
    scratch.replace(path)


def _port_of(config: str) -> int:
    for line in config.splitlines():
        words = line.split()
        if words[:1] == ["listener"] and len(words) == 3 and words[1].isdigit():
            return int(words[1])
    return 0
