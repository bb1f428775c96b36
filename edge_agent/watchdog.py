"""Words to systemd (sd_notify), without a library: ready, alive, stopping. Silent elsewhere."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

MICROS_PER_S = 1e6


class Watchdog:
    """Sends datagrams to the socket that systemd names; does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] | None = None, pid: int | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET", "")
        limit = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", "") in {"", str(pid or os.getpid())}
        is_set = bool(self._address) and limit.isdigit() and int(limit) > 0 and is_ours
        self.period_s: float | None = int(limit) / MICROS_PER_S / 2 if is_set else None
        """Seconds between two signs of life, half of what systemd allows; None: nobody watches."""

    def ready(self) -> bool:
        """The agent serves."""
        return self._say("READY=1")

    def alive(self, status: str = "") -> bool:
        """Its parts live; to be said only after they were looked at."""
        return self._say("WATCHDOG=1" + (f"\nSTATUS={status}" if status else ""))

    def stopping(self) -> bool:
        """It was asked to end."""
        return self._say("STOPPING=1")

    def _say(self, words: str) -> bool:
        if not self._address:
            return False
        # "@" stands for the zero byte of an abstract socket (sd_notify(3)).
        is_abstract = self._address.startswith("@")
        address = "\0" + self._address[1:] if is_abstract else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(words.encode(), address)
        except OSError:
            return False  # the watchdog then acts, which is what it is for
        return True
