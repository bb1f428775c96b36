"""One error for everything that can go wrong at a port."""

from __future__ import annotations

import errno
import os
import termios

PORT_ERRORS = (OSError, termios.error)
"""SerialException is an OSError; on a port that hung up, pyserial 3.5 lets plain OSError out of
in_waiting and termios.error, which is neither, out of the flush calls."""


class PortError(Exception):
    """A port that cannot be opened, or that failed while it was open."""

    def __init__(self, port: str, problem: str) -> None:
        super().__init__(f"{port}: {problem}")
        self.port = port
        self.problem = problem


def in_words(error: Exception) -> str:
    """The system's own words; pyserial's repeat the port and the number."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, termios.error) and error.args:
        number = error.args[0]
    if number == errno.EAGAIN:  # of flock(2); a read or write that would block raises nothing
        return "another program has locked it"
    return os.strerror(number) if isinstance(number, int) else str(error)
