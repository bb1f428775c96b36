"""What each role may do, as one table. What no row names is nobody's.

Pages, the API, navigation, the table in ``docs/central.md`` and its test are all made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from central.actor import Actor, Role


class Permission(StrEnum):
    """Something a person may do; the value is its name in logs and documents."""

    ACCOUNT = "account"
    """One's own password, second factor and sessions."""
    OVERVIEW_READ = "overview.read"
    """Counts for the wall display: no subject, no person."""
    ALERTS_READ = "alerts.read"
    ALERTS_ACT = "alerts.act"
    """Acknowledge, snooze, note."""
    ALERTS_REVIEW = "alerts.review"
    """Confirm, dismiss, merge, split."""
    ALLOW_LISTS_EDIT = "allow_lists.edit"
    MAP_READ = "map.read"
    CASES_READ = "cases.read"
    CASES_ACT = "cases.act"
    """Open a case, tasks, members, inventory, tip-offs, owner."""
    CASES_VERIFY = "cases.verify"
    """Ask the operator or regulator, and write down the answer."""
    CASES_ANSWER = "cases.answer"
    """Answer for the operator or regulator that was asked."""
    CASES_NOTIFY = "cases.notify"
    """Confirm that the police are notified: a named person decides (law 7)."""
    CASES_CLOSE = "cases.close"
    INTAKE_TAKE = "intake.take"
    """Take alarms of 110: at the form, or as the program of an intake."""
    DISPATCH_READ = "dispatch.read"
    DISPATCH_ACT = "dispatch.act"
    ORDERS_READ = "orders.read"
    ORDERS_DRAFT = "orders.draft"
    ORDERS_SIGN = "orders.sign"
    ORDERS_ANSWER = "orders.answer"
    """The bank's feedback on an order."""
    SEALED_OPEN = "sealed.open"
    """See a sealed account or number in full; audited."""
    OFFICERS_READ = "officers.read"
    OFFICERS_EDIT = "officers.edit"
    """Say whose key signs orders; such a person signs none."""
    LISTS_READ = "lists.read"
    """The ATMs' lists of accounts."""
    LISTS_EDIT = "lists.edit"
    LISTS_REVIEW = "lists.review"
    REFUNDS_PROPOSE = "refunds.propose"
    """Propose shares, and note that the bank has paid them."""
    REFUNDS_DECIDE = "refunds.decide"
    """The second name on a refund."""
    """Approve what another person proposed."""
    NUMBERS_READ = "numbers.read"
    """Numbers to block: a carrier's people see the blocks of their own unit alone."""
    NUMBERS_ANSWER = "numbers.answer"
    """A block was done, was wrong, or is answered."""
    UNITS_READ = "units.read"
    """Member units, what they sent and its receipts: a unit's people see their own unit alone."""
    UNITS_FEED = "units.feed"
    """Send what a member unit reports: a unit's people for their own unit alone."""
    UNITS_EDIT = "units.edit"
    OUTREACH_READ = "outreach.read"
    OUTREACH_ACT = "outreach.act"
    """Warn people, and write down what came of it."""
    NOTICES_EDIT = "notices.edit"
    """Texts on the machines' idle screens."""
    KEYS_READ = "keys.read"
    KEYS_ROTATE = "keys.rotate"
    """Go over to another key under which accounts are known."""
    STATISTICS_READ = "statistics.read"
    STATISTICS_KEEP = "statistics.keep"
    """Keep a report as a version, state a figure that no event knows."""
    EXPORT = "export"
    """Take rows out as CSV, XLSX, GeoJSON or Cursor on Target."""
    DEVICES_READ = "devices.read"
    DEVICES_REVOKE = "devices.revoke"
    DEVICES_PLACE = "devices.place"
    AUDIT_READ = "audit.read"
    PEOPLE_READ = "people.read"
    PEOPLE_EDIT = "people.edit"
    SETTINGS_READ = "settings.read"
    SETTINGS_EDIT = "settings.edit"
    METRICS_READ = "metrics.read"
    BREAK_GLASS = "break_glass"
    """Act for a while beyond one's areas, with a reason."""


_DUTY, _REVIEWER, _COMMANDER = Role.DUTY_OFFICER, Role.REVIEWER, Role.COMMANDER
_BANK, _CARRIER, _REGULATOR = Role.BANK, Role.CARRIER, Role.REGULATOR
_AUDITOR, _ADMINISTRATOR = Role.AUDITOR, Role.ADMINISTRATOR
_CENTRE = frozenset({_DUTY, _REVIEWER, _COMMANDER})
_EVERYBODY = frozenset(Role)


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


P = Permission
PERMISSIONS: Mapping[Permission, frozenset[Role]] = MappingProxyType(
    {
        P.ACCOUNT: _EVERYBODY,
        P.OVERVIEW_READ: _EVERYBODY - {_BANK, _CARRIER},
        P.ALERTS_READ: _CENTRE | {_AUDITOR},
        P.ALERTS_ACT: _CENTRE,
        P.ALERTS_REVIEW: _roles(_REVIEWER, _COMMANDER),
        P.ALLOW_LISTS_EDIT: _roles(_REVIEWER, _COMMANDER),
        P.MAP_READ: _CENTRE | {_AUDITOR},
        P.CASES_READ: _CENTRE | {_AUDITOR},
        P.CASES_ACT: _CENTRE,
        P.CASES_VERIFY: _roles(_REVIEWER, _COMMANDER),
        P.CASES_ANSWER: _roles(_CARRIER, _REGULATOR),
        P.CASES_NOTIFY: _roles(_REVIEWER, _COMMANDER),
        P.CASES_CLOSE: _roles(_COMMANDER),
        P.INTAKE_TAKE: _CENTRE,
        P.DISPATCH_READ: _CENTRE | {_AUDITOR},
        P.DISPATCH_ACT: _CENTRE,
        P.ORDERS_READ: _CENTRE | {_AUDITOR, _BANK},
        P.ORDERS_DRAFT: _CENTRE,
        P.ORDERS_SIGN: _roles(_REVIEWER, _COMMANDER),
        P.ORDERS_ANSWER: _roles(_BANK),
        P.SEALED_OPEN: _roles(_REVIEWER, _COMMANDER),
        P.OFFICERS_READ: _CENTRE | {_AUDITOR, _ADMINISTRATOR},
        P.OFFICERS_EDIT: _roles(_ADMINISTRATOR),
        P.LISTS_READ: _CENTRE | {_AUDITOR},
        P.LISTS_EDIT: _CENTRE,
        P.LISTS_REVIEW: _roles(_REVIEWER, _COMMANDER),
        P.REFUNDS_PROPOSE: _CENTRE,
        P.REFUNDS_DECIDE: _roles(_REVIEWER, _COMMANDER),
        P.NUMBERS_READ: _CENTRE | {_AUDITOR, _CARRIER},
        P.NUMBERS_ANSWER: _CENTRE | {_CARRIER},
        P.UNITS_READ: _CENTRE | {_AUDITOR, _BANK, _CARRIER, _REGULATOR},
        P.UNITS_FEED: _CENTRE | {_BANK, _CARRIER, _REGULATOR},
        P.UNITS_EDIT: _roles(_COMMANDER, _ADMINISTRATOR),
        P.OUTREACH_READ: _CENTRE | {_AUDITOR},
        P.OUTREACH_ACT: _CENTRE,
        P.NOTICES_EDIT: _roles(_REVIEWER, _COMMANDER),
        P.KEYS_READ: _roles(_AUDITOR, _ADMINISTRATOR),
        P.KEYS_ROTATE: _roles(_ADMINISTRATOR),
        P.STATISTICS_READ: _CENTRE | {_AUDITOR, _REGULATOR},
        P.STATISTICS_KEEP: _roles(_REVIEWER, _COMMANDER, _REGULATOR),
        P.EXPORT: _CENTRE | {_AUDITOR},
        P.DEVICES_READ: _CENTRE | {_AUDITOR, _ADMINISTRATOR},
        P.DEVICES_REVOKE: _roles(_ADMINISTRATOR),
        P.DEVICES_PLACE: _roles(_ADMINISTRATOR),
        P.AUDIT_READ: _roles(_AUDITOR),
        P.PEOPLE_READ: _roles(_AUDITOR, _ADMINISTRATOR),
        P.PEOPLE_EDIT: _roles(_ADMINISTRATOR),
        P.SETTINGS_READ: _roles(_AUDITOR, _ADMINISTRATOR),
        P.SETTINGS_EDIT: _roles(_ADMINISTRATOR),
        P.METRICS_READ: _roles(_AUDITOR, _ADMINISTRATOR),
        P.BREAK_GLASS: _CENTRE,
    }
)

OF_ONES_UNIT = frozenset({P.UNITS_READ, P.UNITS_FEED, P.NUMBERS_READ, P.NUMBERS_ANSWER})
"""What a unit's people do for their own member unit alone (:mod:`central.units.bounds`)."""


def may(actor: Actor, permission: Permission) -> bool:
    """Whether one of the person's roles carries the permission; an area is asked elsewhere."""
    return not PERMISSIONS.get(permission, frozenset()).isdisjoint(actor.roles)
