"""Who does something at the central: a named person, the roles they hold, the areas they cover.

Every change of an alert, a case or an order takes an :class:`Actor`; how one comes to be (a
signed-in session, a key, a terminal) is not known here, so that the rules on who may do what are
tested without a browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is there for. A person may hold several."""

    DUTY_OFFICER = "duty_officer"
    REVIEWER = "reviewer"
    COMMANDER = "commander"
    BANK = "bank"
    CARRIER = "carrier"
    REGULATOR = "regulator"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


UNIT_ROLES = frozenset({Role.BANK, Role.CARRIER, Role.REGULATOR})
"""Roles of people whom a member unit sends; all others are the centre's own."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A named person acting now.

    ``areas`` are administrative division codes (GB/T 2260, six digits); a province or city code
    (trailing zeros) covers all below it, and no area at all means nothing is covered: default deny.
    ``unit`` is the one member unit for which a person of :data:`UNIT_ROLES` acts; empty: none.
    """

    name: str
    roles: frozenset[Role]
    areas: frozenset[str] = frozenset()
    unit: str = ""

    def has(self, *roles: Role) -> bool:
        """Whether the person holds at least one of ``roles``."""
        return not self.roles.isdisjoint(roles)

    def covers(self, area: str) -> bool:
        """Whether ``area`` (six digits) lies in one of the person's; ``000000`` is the country."""
        return any(is_within(area, own) for own in self.areas)


def is_within(area: str, own: str) -> bool:
    """Whether a division lies in ``own``, which names a country, province, city or county."""
    for level in (0, 2, 4):
        if own[level:] == "0" * (6 - level):
            return area[:level] == own[:level]
    return area == own
