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
from hardware.serial.transport import (
    EndOfRecording,
    LineSettings,
    PortError,
    Transport,
    open_transport,
    replay_url,
)

__all__ = [
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
    "open_transport",
    "replay_url",
]
