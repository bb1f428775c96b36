"""From views to what one reader sees: texts in the reader's language, local times, links.

The same values fill the server's templates and the frames of the event stream.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from central.areas import area_text
from central.store.interface import Event, EventKind, Json, Snapshot
from central.views import alert_json, decision_json, device_json
from central.web.words import Language, Words
from contract.clock import UnixMicros
from contract.codec import Scalar, Values, rfc3339
from contract.words import PartState, Presence, TimeBasis

_RANK = {
    name: rank
    for rank, name in enumerate(
        ("rat", "plmn", "operator", "arfcn", "channel", "lac", "tac", "lac_tac", "cell_id")
    )
}
_WORDS_OF = {
    **dict.fromkeys(("state", "evidence", "needs", "property"), "value"),
    "ruled_out_by": "rule",
}
"""Values that are words of closed lists, with commas between them, and the group of each."""
DAYS_FROM_HOURS = 72
"""Below that a term is read in the hours in which the law writes it."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Presenter:
    """One reader's language and clock."""

    words: Words
    utc_offset_minutes: int

    # -- small things -------------------------------------------------------------------------

    def time(self, text: str | None, basis: str = TimeBasis.LIVE) -> str:
        """Local time of an RFC 3339 text; a synthetic time has no date, only a distance."""
        if text is None:
            return ""
        at = dt.datetime.fromisoformat(text)
        if basis == TimeBasis.SYNTHETIC:
            return f"t+{(at - _EPOCH).total_seconds():g} s"
        try:
            local = at.astimezone(dt.timezone(dt.timedelta(minutes=self.utc_offset_minutes)))
        except OverflowError:  # within a day of the calendar's end
            return text
        return local.strftime("%Y-%m-%d %H:%M:%S")

    def moment(self, at: int) -> str:
        """Local time of microseconds."""
        return self.time(rfc3339(UnixMicros(at)))

    def lasted(self, us: int) -> str:
        """How long: hours, minutes and seconds; from three days on, days before them."""
        minutes, seconds = divmod(us // 1_000_000, 60)
        hours, minutes = divmod(minutes, 60)
        days, rest = divmod(hours, 24)
        if hours < DAYS_FROM_HOURS:
            return f"{hours}:{minutes:02}:{seconds:02}"
        word = self.words.text("d")
        return f"{days} {word} {rest}:{minutes:02}:{seconds:02}"

    def value(self, value: Scalar) -> str:
        """One named value as text."""
        if isinstance(value, bool):
            return self.words.text("yes") if value else self.words.text("no")
        return f"{value:g}" if isinstance(value, float) else str(value)

    def pairs(self, values: Values) -> list[list[str]]:
        """Named values as pairs of label and text, the ones that people look for first in front."""
        names = sorted(values, key=lambda name: (_RANK.get(name, len(_RANK)), name))
        shown = [name for name in names if values[name] != ""]
        return [[self.words.word("field", n), self._named(n, values[n])] for n in shown]

    def _named(self, name: str, value: Scalar) -> str:
        group = _WORDS_OF.get(name)
        if group is None or not isinstance(value, str):
            return self.value(value)
        return ", ".join(self.words.word(group, word) for word in value.split(","))

    def yuan(self, fen: int) -> str:
        """Money, from integer fen."""
        sign = "-" if fen < 0 else ""
        return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02}"

    def area(self, code: str | None) -> str:
        """A division by name and code; empty where there is none."""
        is_chinese = self.words.language is Language.ZH_CN
        return area_text(code, is_chinese=is_chinese) if code else ""

    def areas(self, codes: Iterable[str]) -> str:
        """Several of them, by their codes' order."""
        return ", ".join(self.area(code) for code in sorted(codes))

    # -- rows ---------------------------------------------------------------------------------

    def alert(self, view: Json) -> Json:
        """Return an alert row."""
        w, basis = self.words, view["time_basis"]
        source = " ".join(
            part for part in (view["source"]["file"], view["source"]["place"]) if part
        )
        return {
            "id": view["id"],
            "href": f"/alerts/{view['id']}",
            "kind": view["kind"],
            "title": w.word("alert", view["kind"]),
            "severity": view["severity"],
            "severity_text": w.word("severity", view["severity"]),
            "level": view["level"],
            "level_text": w.word("level", view["level"]),
            "state": view["state"],
            "state_text": w.word("state", view["state"]),
            "version": view["version"],
            "is_technical": view["is_technical"],
            "handler": view["handler"] or "",
            "area": view["area"],
            "reason_text": ""
            if view["reason_code"] is None
            else w.word("code", view["reason_code"]),
            "snoozed_text": self.time(view["snoozed_until"]),
            "merged_into": view["merged_into"],
            "follows": view["follows"],
            "escalation": view["escalation"],
            "subject": self.pairs(view["subject"]),
            "rules": view["rules"],
            "reasons": [w.word("rule", rule) for rule in view["rules"]],
            "station": view["device"],
            "source": source,
            "basis": basis,
            "basis_text": "" if basis == TimeBasis.LIVE else w.word("basis", basis),
            "first_seen_text": self.time(view["first_seen"], basis),
            "last_seen_text": self.time(view["last_seen"], basis),
            "fired_at": view["fired_at"],
            "raised_at": view["raised_at"],
            "raised_text": self.time(view["raised_at"]),
            "updated_text": self.time(view["updated_at"]),
            "count": view["count"],
            "count_text": f"×{view['count']}" if view["count"] > 1 else "",
        }

    def decision(self, view: Json) -> Json:
        """Return a decision row."""
        w, face = self.words, view["face"]
        reason = view["reason"]
        return {
            "id": f"{view['device']}/{view['seq']}",
            "decision": view["decision"],
            "decision_text": w.word("decision", view["decision"]),
            "reason_text": "" if reason is None else w.word("reason", reason),
            "station": view["device"],
            "visit": view["visit"],
            "business_text": w.word("business", view["business"]),
            "amount_text": self.yuan(view["amount_fen"]),
            "card_text": f"•••• {view['card_last4']}",
            "pin_text": w.word("pin", view["pin"]),
            "face_text": self._face(face),
            "is_simulated": bool(face and face["is_simulated"]),
            "decided_at": view["decided_at"],
            "decided_text": self.time(view["decided_at"]),
            "href": "" if view["alert_id"] is None else f"/alerts/{view['alert_id']}",
        }

    def _face(self, face: Json | None) -> str:
        w = self.words
        if face is None:
            return w.text("no face captured")
        if face["similarity"] is None:
            return w.text("nothing compared")
        sign = "≥" if face["similarity"] >= face["threshold"] else "<"
        return f"{face['similarity']:.2f} {sign} {face['threshold']:.2f}"

    def device(self, view: Json) -> Json:
        """Return a device row."""
        w = self.words
        depth, worst = view["outbox_depth"], view["worst_part"]
        presence = view["presence"] or "never"
        return {
            "id": view["device"],
            "href": f"/devices/{quote(view['device'], safe='')}",
            "name": view["name"],
            "kind_text": w.word("device", view["kind"]),
            "version": view["version"],
            "presence": presence,
            "presence_text": w.word("presence", presence),
            "is_online": presence == Presence.ONLINE,
            "worst": worst or "unknown",
            "worst_text": w.word("part_state", worst or "unknown"),
            "failing": self._failing(view["health"]),
            "last_seen": view["last_seen"],
            "last_seen_text": self.time(view["last_seen"]) or w.text("never"),
            "depth_text": "–" if depth is None else str(depth),
            "receipt_text": "–" if view["receipt_up_to"] is None else str(view["receipt_up_to"]),
            "receipt_at_text": self.time(view["receipt_at"]),
            "refused": view["refused"],
            "duplicates": view["duplicates"],
            "is_revoked": view["revoked_at"] is not None,
        }

    def part(self, name: str) -> str:
        """Name a part: ``sensor nas0`` keeps the sensor's own name behind the word."""
        kind, _, own = name.partition(" ")
        whole = self.words.word("part", name)
        return whole if whole != name or not own else f"{self.words.word('part', kind)} {own}"

    def _failing(self, health: Json | None) -> str:
        parts = (health or {}).get("parts", ())
        return ", ".join(self.part(p["name"]) for p in parts if p["state"] != PartState.OK)

    def notice(self, data: Json) -> str:
        """Return what a duty officer is told, as one sentence."""
        words = self.words
        if data["kind"] == "alarm":
            return (
                words.text("Alarm {alarm} of 110, loss {amount}: case {case} is open.")
                .replace("{alarm}", str(data["alarm"]))
                .replace("{amount}", self.yuan(data["amount_fen"]))
                .replace("{case}", str(data["case"]))
            )
        way = "term_over" if data["is_term"] else "overdue"
        return words.word("notice", way if data["is_due"] else "warning").format(
            clock=words.word("clock", data["clock"]),
            case=data["case"],
            of="" if data["of"] == data["case"] else data["of"],
            due=self.moment(data["due_at"]),
        )

    def told(self, data: Json) -> Json:
        """Return a notice as the live page shows it."""
        return {
            "id": data["id"],
            "title": self.notice(data),
            "severity": data["severity"],
            "severity_text": self.words.word("severity", data["severity"]),
            "station": data["told_to"] or "",
            "at_text": self.moment(data["at"]),
            "href": f"/cases/{data['case_id']}",
        }

    # -- whole pages --------------------------------------------------------------------------

    def detection(self, view: Json) -> Json:
        """Return a detection with its reasons, rivals and evidence."""
        w, basis = self.words, view["time_basis"]
        return {
            **view,
            "kind_text": w.word("detection", view["kind"]),
            "level_text": w.word("level", view["level"]),
            "basis_text": w.word("basis", basis),
            "first_seen_text": self.time(view["first_seen"], basis),
            "last_seen_text": self.time(view["last_seen"], basis),
            "fired_text": self.time(view["fired_at"]),
            "received_text": self.time(view["received_at"]),
            "score_text": f"{view['score']:g}",
            "subject_pairs": self.pairs(view["subject"]),
            "reason_rows": [
                {
                    "rule": reason["rule"],
                    "text": w.word("rule", reason["rule"]),
                    "family_text": w.word("family", reason["family"]),
                    "weight_text": f"{reason['weight']:g}",
                    "pairs": self.pairs(reason["values"]),
                }
                for reason in view["reasons"]
            ],
            "rival_rows": [
                {
                    "id": rival["explanation"],
                    "text": w.word("rival", rival["explanation"]),
                    "verdict": rival["verdict"],
                    "verdict_text": w.word("verdict", rival["verdict"]),
                    "pairs": self.pairs(rival["values"]),
                }
                for rival in view["rivals"]
            ],
        }

    def health_parts(self, health: Json | None) -> list[Json]:
        """Return the parts of a health report, the worst first."""
        order = list(PartState)
        parts = sorted(
            (health or {}).get("parts", ()), key=lambda p: -order.index(PartState(p["state"]))
        )
        return [
            {
                **part,
                "name_text": self.part(part["name"]),
                "detail": self.words.word("detail", part["detail"]),
                "state_text": self.words.word("part_state", part["state"]),
                "pairs": self.pairs(part["counters"]),
            }
            for part in parts
        ]

    def refusal(self, view: Json) -> Json:
        """Return a refusal row."""
        return {
            **view,
            "at_text": self.time(view["at"]),
            "reason_text": self.words.word("refusal", view["reason"]),
        }

    def dropped(self, view: Json) -> Json:
        """Return what a device dropped of a lane."""
        return {
            **view,
            "lane_text": self.words.word("lane", view["lane"]),
            "reason_text": self.words.word("gap", view["reason"]),
            "first_put_text": self.time(view["first_put"]),
            "last_put_text": self.time(view["last_put"]),
        }

    def snapshot(self, snapshot: Snapshot) -> Json:
        """Return what the live page shows."""
        return {
            "alerts": [self.alert(alert_json(row)) for row in snapshot.alerts],
            "decisions": [self.decision(decision_json(row)) for row in snapshot.decisions],
            "devices": [self.device(device_json(row)) for row in snapshot.devices],
        }

    def event(self, event: Event) -> Json:
        """Return the data of one frame of the stream."""
        data: dict[str, Any] = event.data
        if event.kind is EventKind.ALERT:
            return {"change": data["change"], "alert": self.alert(data["alert"])}
        if event.kind is EventKind.DECISION:
            return {"decision": self.decision(data["decision"])}
        if event.kind is EventKind.DEVICE:
            return {"device": self.device(data["device"])}
        if event.kind is EventKind.NOTICE:
            return {"notice": self.told(data["notice"])}
        if event.kind is EventKind.ORDER:
            return {**data, "step_text": self.words.word("order_step", data["step"])}
        return {**data, "reason_text": self.words.word("refusal", data["reason"])}
