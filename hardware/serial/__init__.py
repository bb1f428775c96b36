"""Serial ports: blocking transports, and the self-healing port that feeds an asyncio task."""

from hardware.serial.port import (
    Backoff,
    PortCounters,
    PortData,
    PortEnded,
    PortEvent,
    PortLost,
    PortOpened,
    SerialPort,
)
from hardware.serial.ports import AttachedPort, attached_ports, other_readers
from hardware.serial.transport import (
    Backend,
    EndOfRecording,
    LineSettings,
    PortError,
    Transport,
    open_transport,
    replay_url,
)

__all__ = [
    "AttachedPort",
    "Backend",
    "Backoff",
    "EndOfRecording",
    "LineSettings",
    "PortCounters",
    "PortData",
    "PortEnded",
    "PortError",
    "PortEvent",
    "PortLost",
    "PortOpened",
    "SerialPort",
    "Transport",
    "attached_ports",
    "open_transport",
    "other_readers",
    "replay_url",
]
