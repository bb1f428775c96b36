"""What a broker beside the central has to offer, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contract.topics import check_id
from mqtt_bridge.brokers.violations import Violation
from mqtt_bridge.ports import BrokerAddress, TlsFiles

LOOPBACK = "127.0.0.1"

MAX_PAYLOAD_BYTES = 256 * 1024
"""Four times the longest message of the contract. A broker ends the connection of a client that
sends more, so this must never be the smaller of the two."""

MAX_UNACKED = 1000
"""Messages that the broker sends ahead of the central's acknowledgements."""


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """A device that may use the broker; its name is the common name of its certificate.

    It may publish below ``v1/TENANT/up/DEVICE/`` and on its own state topic, and read what lies
    below ``v1/TENANT/down/DEVICE/``, nothing else.
    """

    tenant: str
    device: str

    def __post_init__(self) -> None:
        check_id(self.tenant, "tenant")
        check_id(self.device, "device")


class BrokerError(RuntimeError):
    """The broker cannot do what was asked; the message says what to mend."""


class BrokerMissingError(BrokerError):
    """There is no broker program on this machine."""

    def __init__(self, program: str, remedy: str) -> None:
        super().__init__(f"{program} is not on this machine: {remedy}")
        self.program = program


class PortTakenError(BrokerError):
    """Something else listens where the broker should."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is taken by another program")
        self.host = host
        self.port = port


class BrokerFailedError(BrokerError):
    """The broker ended by itself or did not begin to listen in time."""

    def __init__(self, program: str, words: str) -> None:
        super().__init__(f"{program} did not start: {words or 'it said nothing'}")
        self.program = program
        self.words = words


class Broker(Protocol):
    """A broker process that outlives a crash of its owner and is adopted by the next one."""

    @property
    def port(self) -> int:
        """MQTT port; known after start()."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""

    def start(self) -> None:
        """Start it, or adopt the one that an earlier owner left running with these settings.

        Returns when it listens. Raises BrokerMissingError, PortTakenError or BrokerFailedError.
        """

    def stop(self) -> None:
        """End the process, adopted or not; bounded, and harmless if it does not run."""

    def reload(self, grants: Sequence[DeviceGrant] | None = None) -> None:
        """Put new grants (or renewed certificate files) into force without a restart."""

    def ensure(self) -> bool:
        """Start it again if it died; to be called every few seconds. True if it had died."""

    def address(self, tls: TlsFiles | None = None) -> BrokerAddress:
        """Where a client on this machine finds it, with the client's own TLS files."""

    def violations(self) -> Sequence[Violation]:
        """What it refused since the last call, also while nobody asked."""


def own_files(folder: Path) -> Path:
    """Make the folder of a broker, for its owner's eyes only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.resolve()
