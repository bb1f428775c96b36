"""One open detection about a carrier: findings, rivals, evidence, revisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from contract.clock import UnixMicros
from contract.codec import Values
from contract.messages import Detection, Evidence, Reason, Rival, Source, detection_id
from contract.words import AlertKind, DetectionKind, Level, Severity, TimeBasis
from hardware.readings import Stamp
from rf_watch.broadcast.rules import BROADCAST_RULES, BroadcastFinding, score
from rf_watch.dossier import RawEvidence, identified_subject, place_range

WINDOW_US = 24 * 3600 * 1_000_000
"""A case is named after the day it began: a restart within it names it alike."""

PROTECTED = "protected"
"""Value of a finding: the protected station that the carrier would disturb."""
_ORDER = {rule.id: index for index, rule in enumerate(BROADCAST_RULES)}
_ALERTS = {
    DetectionKind.ILLEGAL_BROADCAST: (AlertKind.BLACK_BROADCAST_SUSPECTED, Severity.HIGH),
    DetectionKind.AERONAUTICAL_INTERFERENCE: (
        AlertKind.AERONAUTICAL_INTERFERENCE,
        Severity.CRITICAL,
    ),
}


class BroadcastDossier:
    """Its level never falls and its id never changes; one alert, however often it is seen again."""

    def __init__(
        self,
        *,
        device: str,
        kind: DetectionKind,
        subject: Values,
        track_id: str,
        first: Stamp,
    ) -> None:
        self.subject = identified_subject(subject, first)
        self.track_id = track_id
        self._kind = kind
        window = UnixMicros(first.at_us // WINDOW_US * WINDOW_US)
        self._id = detection_id(device, first.sensor, self.subject, window)
        self._first = first
        self._last = first
        self._findings: dict[str, BroadcastFinding] = {}
        self._subkind = ""
        self._level = Level.OBSERVED
        self._fired_at: int | None = None
        self._issued: Detection | None = None
        self.clip: Evidence | None = None
        """About 30 s of the programme, where a device recorded it."""

    @property
    def is_suspected(self) -> bool:
        """An alert has been raised."""
        return self._level is Level.SUSPECTED

    def update(
        self,
        findings: Sequence[BroadcastFinding],
        stamp: Stamp,
        *,
        subkind: str,
        is_suspected: bool,
    ) -> bool:
        """Take in what a reading showed; True if it must be told now: a new level or rule."""
        is_news = self._issued is None
        for finding in findings:
            is_news = is_news or finding.rule.id not in self._findings
            self._findings[finding.rule.id] = finding
        if is_suspected and not self.is_suspected:
            self._level = Level.SUSPECTED
            is_news = True
        if not self.is_suspected or not self._subkind:
            self._subkind = subkind
        if is_news:
            self._fired_at = stamp.received_us
        self._last = stamp
        return is_news

    def note_state(self, state: str) -> None:
        """Write the case's state into its reasons."""
        for name, finding in self._findings.items():
            if "state" in finding.values:
                self._findings[name] = replace(finding, values={**finding.values, "state": state})

    def issue(self, rivals: Iterable[Rival], raw: RawEvidence) -> list[Detection]:
        """Return the next revision, or nothing if it would say nothing new."""
        draft = self._draft(tuple(rivals), raw)
        if self._issued is not None:
            if replace(draft, revision=self._issued.revision) == self._issued:
                return []
            draft = replace(draft, revision=self._issued.revision + 1)
        self._issued = draft
        return [draft]

    def _draft(self, rivals: tuple[Rival, ...], raw: RawEvidence) -> Detection:
        findings = sorted(self._findings.values(), key=lambda f: _ORDER[f.rule.id])
        times = (self._first.at_us, self._last.at_us)
        alert, severity = _ALERTS[self._kind]
        if any(PROTECTED in finding.values for finding in findings):
            severity = Severity.CRITICAL
        return Detection(
            detection_id=self._id,
            revision=0,
            sensor=self._first.sensor,
            kind=self._kind,
            subkind=self._subkind,
            level=self._level,
            severity=severity if self.is_suspected else Severity.WARNING,
            alert=alert if self.is_suspected else None,
            score=score(findings),
            reasons=tuple(
                Reason(
                    rule=f.rule.id,
                    family=f.rule.family.value,
                    weight=f.rule.weight,
                    values=f.values,
                )
                for f in findings
            ),
            rivals=rivals,
            first_seen=UnixMicros(min(times)),
            last_seen=UnixMicros(max(times)),
            time_basis=TimeBasis(self._first.time_basis),
            track_id=self.track_id,
            subject=self.subject,
            source=Source(file=self._first.file, place=place_range(self._first, self._last)),
            evidence=raw.evidence() + (() if self.clip is None else (self.clip,)),
            fired_at=None if self._fired_at is None else UnixMicros(self._fired_at),
        )
