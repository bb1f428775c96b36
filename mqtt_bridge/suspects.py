"""Which messages are refused, and not merely unheard of. Pure.

Three signs: the broker's PUBACK says so (MQTT 5), the broker hangs up when a message comes, or
messages sent later are receipted while this one is not, again and again. None of them counts while
nothing at all gets through: a silent central and a broker that throws everybody out refuse no one.
"""

from __future__ import annotations

from dataclasses import dataclass

TRIES = 3
"""Signs that make a refusal."""


@dataclass(slots=True)
class _Suspect:
    why: str
    signs: int
    landed_before: int
    """Messages receipted before the first sign."""


class Suspects:
    """Counts the signs against messages."""

    def __init__(self) -> None:
        self._suspects: dict[int, _Suspect] = {}
        self._landed = 0

    def note(self, seq: int, why: str, signs: int | None = None) -> None:
        """One more sign against a message, or so many altogether."""
        suspect = self._suspects.setdefault(seq, _Suspect(why, 0, self._landed))
        suspect.signs = suspect.signs + 1 if signs is None else max(suspect.signs, signs)
        suspect.why = why

    def landed(self, rows: int) -> None:
        """Other messages were receipted."""
        self._landed += rows

    def cleared(self, seq: int) -> None:
        """A message is gone, or will not be accused any more."""
        self._suspects.pop(seq, None)

    def keep_only(self, held: set[int]) -> None:
        """Forget those that were receipted after all."""
        self._suspects = {seq: s for seq, s in self._suspects.items() if seq in held}

    @property
    def seqs(self) -> list[int]:
        """Messages with a sign against them."""
        return list(self._suspects)

    def may_try(self, seq: int) -> bool:
        """Whether others got through since the first sign, so that one more try tells something."""
        suspect = self._suspects.get(seq)
        return suspect is not None and self._landed > suspect.landed_before

    def refused(self) -> list[tuple[int, str]]:
        """Messages that are refused beyond doubt, and why."""
        return [
            (seq, suspect.why)
            for seq, suspect in self._suspects.items()
            if suspect.signs >= TRIES and self._landed > suspect.landed_before
        ]
