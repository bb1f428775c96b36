"""What all embedded brokers share: their files, and being started, adopted, reloaded and ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from contract import topics
from contract.files import replace_durably
from mqtt_bridge.brokers.interface import LOOPBACK, DeviceGrant, own_files
from mqtt_bridge.brokers.process import BrokerProcess, free_port
from mqtt_bridge.brokers.violations import Violation
from mqtt_bridge.ports import BrokerAddress, TlsFiles

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a broker listens and whom it lets in.

    ``port`` 0 takes any free port and keeps it over restarts. Without ``tls`` everybody may do
    everything: for tests on the loopback only.
    """

    tls: TlsFiles | None
    grants: Sequence[DeviceGrant] = ()
    central: str = "central"
    host: str = LOOPBACK
    port: int = 0
    crl: Path | None = None
    """Revocation list, for a broker that knows devices by their certificates alone."""
    papers: Callable[[str], TlsFiles] | None = None
    """Makes papers in a device's name, with which a broker's owner ends that device's session."""


class ManagedBroker(ABC):
    """A :class:`mqtt_bridge.brokers.Broker` whose kind is only the text of its files."""

    def __init__(self, folder: Path, program: Path, config: str, listener: Listener) -> None:
        self._folder = own_files(folder)
        self._tls = listener.tls
        self._grants = tuple(listener.grants)
        self._central = topics.check_id(listener.central, "central")
        self._host = listener.host
        self._wanted_port = listener.port
        self._port = listener.port
        self._config = self._folder / config
        self._process = BrokerProcess(
            self._folder, [str(program), "-c", str(self._config)], self._config
        )

    # -- what a kind says --------------------------------------------------------------------------

    @abstractmethod
    def _files(self) -> dict[Path, str]:
        """Text of every file, the configuration among them."""

    @abstractmethod
    def _port_of(self, config: str) -> int:
        """Port that a former configuration names, 0 if none."""

    @abstractmethod
    def _may_adopt(self, former: str, wanted: str) -> bool:
        """Whether a process that runs with the former configuration needs only a reload."""

    @abstractmethod
    def violations(self) -> Sequence[Violation]:
        """What it refused since the last call."""

    # -- the life of the process -------------------------------------------------------------------

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
        self._port = self._wanted_port or self._port_of(former) or free_port(self._host)
        files = self._files()
        if self.is_running:
            if self._may_adopt(former, files[self._config]):
                log.info("broker_adopted", pid=self.pid, port=self._port)
                self._write(files)
                self._process.hang_up()
                return
            log.info("broker_restarted_for_new_settings", pid=self.pid)
            self._process.stop()
        self._write(files)
        self._process.start(self._host, self._port)

    def stop(self) -> None:
        """End the process, adopted or not."""
        self._process.stop()

    def reload(self, grants: Sequence[DeviceGrant] | None = None) -> None:
        """Put grants and certificate files into force without a restart."""
        if grants is not None:
            self._grants = tuple(grants)
        self._write(self._files())
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

    def _write(self, files: dict[Path, str]) -> None:
        for path, text in files.items():
            replace_durably(path, text.encode())
