"""What the air says of open cases: silence puts one to sleep, a sighting wakes it, an alert
discovers a lead. The clock does it, in the central's name; how far a case came is never changed.

A case sleeps when each station that hears its emitter says DORMANT, or when nothing was heard for
an hour while its stations went on speaking. A station that is away says nothing by its silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from central.actor import Actor
from central.alert_states import CENTRAL_ACTOR, OPEN, SECOND_US, AlertState, RuleError
from central.alert_work import Seen, StaleError
from central.alerts import family
from central.case_desk import CaseDesk
from central.case_states import CaseAction, CaseState
from central.case_work import SeenCase
from central.dispatch import distance_m
from central.places import stated_place
from central.store.cases import CaseRow, Heard
from central.store.interface import AlertRow, DetectionRow, Event
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.words import AlertKind, TimeBasis

SILENT_AFTER_US = 3600 * SECOND_US
"""As ``fm.dormant_after_s``: an hour is more than a pause."""
MERGE_M = 300.0
"""``site.merge_m``: a lead without a radius of its own is met by an alert this near."""
ON_AIR = frozenset(
    family(kind)
    for kind in (
        AlertKind.FAKE_BTS_SUSPECTED,
        AlertKind.BLACK_BROADCAST_SUSPECTED,
        AlertKind.AERONAUTICAL_INTERFERENCE,
        AlertKind.GOIP_DEN_SUSPECTED,
    )
)
"""Kinds of case whose emitter may fall silent; a visit at an ATM does not."""
THE_CENTRAL = Actor(CENTRAL_ACTOR, frozenset(), frozenset({"000000"}))
_MOVED = (CaseState.DISCOVERED, CaseState.VERIFIED, CaseState.NOTIFIED)
_LEADS_AT_ONCE = 200


class CaseWatch:
    """A duty of the central: see :meth:`step`."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._desk = CaseDesk(store, clock, on_events)
        self._looked: dict[int, tuple[int, bool]] = {}
        """Case to when its alerts last changed and what their stations said then."""

    def step(self) -> int:
        """Look at every open case once and return how many changed."""
        heard: dict[int, list[Heard]] = defaultdict(list)
        for one in self._store.heard_of_cases([state.value for state in _MOVED], ON_AIR):
            heard[one.case_id].append(one)
        changed = sum(self._follow(alerts) for alerts in heard.values())
        return changed + self._discover()

    def _follow(self, alerts: Sequence[Heard]) -> bool:
        case, now = alerts[0], int(self._clock.wall())
        last_seen = max(one.last_seen for one in alerts)
        if case.dormant_since is None:
            is_off = self._all_say_so(alerts) or self._is_silent(alerts, last_seen, now)
            return is_off and self._act(case, CaseAction.SLEEP, last_seen)
        is_back = last_seen > case.dormant_since and not self._all_say_so(alerts)
        return is_back and self._act(case, CaseAction.WAKE, last_seen)

    def _is_silent(self, alerts: Sequence[Heard], last_seen: int, now: int) -> bool:
        """Whether nobody heard it for an hour, although those who did are still there."""
        if now - last_seen < SILENT_AFTER_US:
            return False
        return all(
            one.device_seen is not None and one.device_seen - one.last_seen >= SILENT_AFTER_US
            for one in alerts
            if one.time_basis is TimeBasis.LIVE
        ) and any(one.time_basis is TimeBasis.LIVE for one in alerts)

    def _all_say_so(self, alerts: Sequence[Heard]) -> bool:
        """Whether each station's newest word on each alert is that the emitter is off."""
        case_id, changed_at = alerts[0].case_id, max(one.updated_at for one in alerts)
        known = self._looked.get(case_id)
        if known is None or known[0] != changed_at:
            known = changed_at, self._ask(alerts)
            self._looked[case_id] = known
        return known[1]

    def _ask(self, alerts: Sequence[Heard]) -> bool:
        found = self._store.detections_of_each([one.alert_id for one in alerts], limit=50)
        newest: dict[tuple[int, str], DetectionRow] = {}
        for alert_id, detections in found.items():
            for one in detections:  # newest first
                newest.setdefault((alert_id, one.device), one)
        return bool(newest) and all(_says_dormant(one) for one in newest.values())

    def _act(self, case: Heard, action: CaseAction, last_seen: int) -> bool:
        try:
            self._desk.act(
                THE_CENTRAL,
                SeenCase(case.case_id, case.version),
                action,
                data={"last_seen": last_seen},
            )
        except (StaleError, RuleError):
            return False  # somebody changed it meanwhile: the next look sees that
        return True

    # -- leads --------------------------------------------------------------------------------

    def _discover(self) -> int:
        """Let a later alert of the same kind, where a lead says, discover it."""
        leads = [lead for lead in self._store.open_leads(_LEADS_AT_ONCE) if lead.lat is not None]
        done = 0
        for lead in leads:
            for alert in self._store.alerts_since(
                lead.opened_at, lead.area, [kind for kind in AlertKind if family(kind) == lead.kind]
            ):
                if _meets(lead, alert):
                    done += self._link(lead, alert)
                    break
        return done

    def _link(self, lead: CaseRow, alert: AlertRow) -> bool:
        try:
            self._desk.link(
                THE_CENTRAL, SeenCase(lead.id, lead.version), Seen(alert.id, alert.version)
            )
        except (StaleError, RuleError):
            return False
        return True


def _says_dormant(found: DetectionRow) -> bool:
    reasons: Iterable[dict[str, object]] = found.body.get("reasons", ())
    return any(_state(reason) == CaseState.DORMANT for reason in reasons)


def _state(reason: dict[str, object]) -> object:
    values = reason.get("values")
    return values.get("state") if isinstance(values, dict) else None


def _meets(lead: CaseRow, alert: AlertRow) -> bool:
    """Whether an alert's emitter stands where a lead says."""
    if AlertState(alert.state) not in OPEN or alert.is_technical:
        return False
    place = stated_place(alert)
    if lead.lat is None or lead.lon is None or place is None:
        return False
    within_m = max(MERGE_M, place.radius_m or 0.0)
    stated = lead.subject.get("radius_m")
    if isinstance(stated, int | float) and not isinstance(stated, bool):
        within_m = max(within_m, float(stated))
    return distance_m(lead.lat, lead.lon, place.lat, place.lon) <= within_m
