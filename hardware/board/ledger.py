"""What became of every frame a board sent: received, or lost on the line, exactly.

Frames carry 16 bits of a running number; heartbeats and hellos say who counts and from where. A
number that jumps may be a restart, so frames wait for the next message that names its boot.
"""

from __future__ import annotations

from dataclasses import dataclass

_WRAP = 1 << 16
_JUMP = 4096


@dataclass(slots=True)
class Boot:
    """One life of a board, from start to reset."""

    boot_id: int
    received: int = 0
    sent: int = 0
    """Frames it is known to have sent."""

    @property
    def lost(self) -> int:
        """Frames that were sent and did not come."""
        return self.sent - self.received


class Ledger:
    """Counts frames by the boot that sent them."""

    def __init__(self) -> None:
        self._boots: list[Boot] = []
        self._segments = [0]  # frames not yet given to a boot; a new one wherever numbers jump
        self._last_seq: int | None = None

    @property
    def boot(self) -> Boot | None:
        """The boot that sends now."""
        return self._boots[-1] if self._boots else None

    @property
    def boots(self) -> tuple[Boot, ...]:
        """All that were seen, the present one last."""
        return tuple(self._boots)

    @property
    def lost(self) -> int:
        """Frames lost on the line, of all boots."""
        on_their_way = self._segments[0] if self._boots and len(self._segments) == 1 else 0
        return sum(boot.lost for boot in self._boots) - on_their_way

    def split(self) -> None:
        """The line was away: what comes next may be of another boot."""
        if self._segments[-1]:
            self._segments.append(0)

    def take(self, seq: int) -> None:
        """A good frame with that number."""
        if self._last_seq is not None and (seq - self._last_seq - 1) % _WRAP > _JUMP:
            self.split()
        self._last_seq = seq
        self._segments[-1] += 1
        boot = self.boot
        if boot is not None and len(self._segments) == 1:
            ahead = (seq - boot.sent) % _WRAP
            if ahead <= _JUMP:
                boot.sent += ahead + 1

    def confirm(self, boot_id: int, sent: int | None, seq: int) -> bool:
        """The frame just taken names its boot and how many frames it had sent; True for a new one.

        The frame's own number is the smallest one that is not below ``sent`` and ends as ``seq``.
        """
        boot = self.boot
        is_new = boot is None or boot.boot_id != boot_id
        if is_new:
            if boot is not None:
                boot.received += sum(self._segments[:-1])
                self._segments = self._segments[-1:]
            boot = Boot(boot_id)
            self._boots.append(boot)
        assert boot is not None
        boot.received += sum(self._segments)
        self._segments = [0]
        if sent is not None:
            boot.sent = sent + (seq - sent) % _WRAP + 1
        elif is_new:
            boot.sent = seq + 1  # until a heartbeat says better
        return is_new
