"""A unit's lead of a suspected SIM bank becomes a case, in the transaction of its feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from central.actor import Actor
from central.alert_work import check_note
from central.case_states import CaseState
from central.case_work import CaseWork
from central.store.interface import Event
from central.store.write import SqlTransaction

KIND = "GOIP_DEN"


def open_lead_case(
    tx: SqlTransaction, now: int, actor: Actor, lead: Mapping[str, str]
) -> Sequence[Event]:
    """Open a case without any radio yet; raises ValueError or PermissionError before it writes."""
    place = float(lead["lat"]), float(lead["lon"])
    subject = {
        "unit": lead["unit"], "numbers": int(lead["numbers"]), "lat": place[0], "lon": place[1],
        "radius_m": float(lead["radius_m"]),
    }  # fmt: skip
    work, note = CaseWork(tx, now), check_note(lead["note"])
    work.open(actor, KIND, lead["area"], subject, note, state=CaseState.LEAD, place=place)
    return work.alerts.tell()
