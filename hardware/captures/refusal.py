"""How a codec says no: one error type, turned into an ``Unreadable`` at the edge of the room."""

from __future__ import annotations

from hardware.readings import Unreadable

RAW_LIMIT = 512
"""At most so many bytes of damaged input are kept."""


class Refused(ValueError):  # noqa: N818 - not always an error: see is_damage
    """A message that a codec does not turn into a reading, and why.

    ``is_damage`` is False for a well-formed message of a kind that the codec passes over.
    """

    def __init__(self, reason: str, *, is_damage: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_damage = is_damage

    def item(self, file: str, place: str, raw: bytes) -> Unreadable:
        """Return it as an item.

        The bytes of what was merely passed over are not carried along: paging names the temporary
        identities of strangers.
        """
        return Unreadable(
            file=file,
            place=place,
            reason=self.reason,
            raw=raw[:RAW_LIMIT] if self.is_damage else b"",
            is_damage=self.is_damage,
        )


def passed_over(what: str) -> Refused:
    """Return the refusal of a well-formed message that nobody here reads."""
    return Refused(f"passed over: {what}", is_damage=False)
