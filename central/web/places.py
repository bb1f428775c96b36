"""What pages of cases and of the board share: a place in a form, a dispatch in a row."""

from __future__ import annotations

from typing import Any

from central.alert_states import RuleError
from central.dispatch import OPEN
from central.store.vans import Dispatch
from central.views import time_or_none
from central.web.present import Presenter


def place_of(lat: str, lon: str) -> tuple[float, float] | None:
    """Read WGS-84 degrees; both or neither."""
    if not lat.strip() and not lon.strip():
        return None
    try:
        place = float(lat), float(lon)
    except ValueError:
        raise RuleError("a position is two numbers in degrees, WGS-84") from None
    if not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180):
        raise RuleError("a position is two numbers in degrees, WGS-84")
    return place


def dispatch_view(presenter: Presenter, row: Dispatch) -> dict[str, Any]:
    """Return a dispatch for the board or a case."""
    times = (row.sent_at, row.acknowledged_at, row.arrived_at, row.ended_at)
    return {
        "id": row.id,
        "case_id": row.case_id,
        "van": row.van,
        "state": row.state,
        "state_text": presenter.words.word("dispatch_state", row.state),
        "text": row.text,
        "place": f"{row.lat:.5f}, {row.lon:.5f}",
        "distance_text": "" if row.distance_m is None else f"{row.distance_m / 1000:.1f} km",
        "times": [presenter.time(time_or_none(at)) or "–" for at in times],
        "sent_by": row.sent_by,
        "crew": row.crew,
        "report": row.report,
        "version": row.version,
        "is_open": row.state in {state.value for state in OPEN},
    }
