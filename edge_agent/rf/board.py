"""A sniffer board as a sensor of the agent: its key, its line in health."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from contract.clock import Clock
from contract.codec import Values
from edge_agent.config import SensorConfig
from hardware.board.client import BoardLink
from hardware.board.modem import BoardModem
from hardware.board.poller import BoardPoller
from hardware.board.readings import BoardReadings
from hardware.modems import DIALECTS
from hardware.serial.port import SerialPort

KEY_BYTES = 32
SAFE_MODE, TUNER_LOST = 1, 8


class BoardKeyError(Exception):
    """A key file that cannot be used: its path and why. Never its content."""


def read_key(path: Path | None) -> bytes | None:
    """Read 64 hexadecimal digits; None where no file is named."""
    if path is None:
        return None
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except OSError as error:
        raise BoardKeyError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BoardKeyError(f"{path}: not {2 * KEY_BYTES} hexadecimal digits") from None
    if len(key) != KEY_BYTES:
        raise BoardKeyError(f"{path}: {len(key)} bytes, {KEY_BYTES} make a key")
    return key


def board_poller(port: SerialPort, *, config: SensorConfig, file: str, clock: Clock) -> BoardPoller:
    """A board at a port; BoardKeyError for its key."""
    link = BoardLink(port, clock=clock, key=read_key(config.key))
    modem = None
    if config.modem is not None:
        modem = BoardModem(link, DIALECTS[config.modem.value](sensor=config.name, file=file))
    readings = BoardReadings(sensor=config.name, file=file)
    return BoardPoller(link, readings, clock=clock, modem=modem)


def board_gauges(poller: BoardPoller) -> Values:
    """Everything counted about a board, by both ends."""
    counters = asdict(poller.link.counters()) | asdict(poller.counters)
    gauges: Values = {f"board_{k}": n for k, n in counters.items() if isinstance(n, int)}
    if poller.modem is not None:
        gauges["board_modem_rounds"] = poller.modem.rounds
        gauges["board_modem_unanswered"] = poller.modem.unanswered
    if (beat := poller.link.heartbeat) is not None:
        gauges |= {
            "board_dropped_control": beat.dropped_control,
            "board_dropped_event": beat.dropped_event,
            "board_dropped_telemetry": beat.dropped_telemetry,
            "board_bus_faults": beat.bus_faults,
            "board_heap_free": beat.heap_free,
        }
    return gauges


def board_problem(poller: BoardPoller) -> str | None:
    """What is wrong with a board whose port is open; None: nothing."""
    link = poller.link
    if (problem := link.counters().problem) is not None:
        return problem
    if link.hello is None:
        return "the port is open, but no sniffer board answers"
    if not link.is_alive:
        return "the board's heartbeat is late"
    beat = link.heartbeat
    if beat is not None and beat.flags & SAFE_MODE:
        return "the board is in safe mode: it sniffs nothing"
    if beat is not None and beat.flags & TUNER_LOST:
        return "the board lost its tuner"
    if poller.modem is not None and poller.modem.problem is not None:
        return poller.modem.problem
    return poller.refusal
