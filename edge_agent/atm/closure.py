"""Whether the machine is closed: durable, so that a restart does not open it again.

An alarm of the gate closes; a named person who looked at the machine opens it
(``qianshao atm open``). While it is closed no assertion is given and no withdrawal begins.
"""

from __future__ import annotations

import threading
from pathlib import Path

from contract.clock import Clock
from contract.codec import rfc3339
from contract.files import replace_durably

FILE_NAME = "out-of-service"
LOG_NAME = "put-into-service.log"


class Closure:
    """One file in the state folder; its text is the reason. Any thread may ask."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / FILE_NAME
        self._lock = threading.Lock()

    def problem(self) -> str | None:
        """Return why the machine is closed; None: it is open. A file nobody can read closes."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            return f"{FILE_NAME} cannot be read: {type(error).__name__}"
        return text.strip() or "closed"

    def close(self, why: str) -> None:
        """Close it; the first reason stays. Raises OSError."""
        with self._lock:
            if self.problem() is None:
                replace_durably(self._file, f"{why}\n".encode())

    def open(self, by: str, clock: Clock) -> str | None:
        """Open it again in the name of a person; returns why it was closed. Raises OSError.

        Who opened it, when and what it was closed for stays in a file beside.
        """
        with self._lock:
            why = self.problem()
            if why is not None:
                line = f"{rfc3339(clock.wall())} opened by {by}; closed for: {why}\n"
                with self._file.with_name(LOG_NAME).open("a", encoding="utf-8") as log:
                    log.write(line)
                self._file.unlink()
        return why
