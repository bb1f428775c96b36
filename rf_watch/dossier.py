"""One open detection: gathers findings, evidence and places, and issues its revisions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from contract.clock import UnixMicros
from contract.codec import Values
from contract.messages import Detection, Evidence, Reason, Rival, Source, detection_id
from contract.words import DetectionKind, TimeBasis
from hardware.readings import Stamp
from rf_watch.rules import OBSERVED, RULES, Finding, Verdict, score

_ORDER = {rule.id: index for index, rule in enumerate(RULES)}


MAX_RAW_BYTES = 8 * 1024
"""Raw records kept for one detection; the first of its window, later ones add nothing."""

_LENGTH_BYTES = 4

Blobs = dict[bytes, bytes]
"""Raw evidence by its SHA-256."""


class RawEvidence:
    """The raw records behind one detection: each after its length (4 bytes, big-endian)."""

    def __init__(self, name: str, blobs: Blobs) -> None:
        """``blobs`` takes the bytes whenever a revision names their hash."""
        self._name = name
        self._blobs = blobs
        self._bytes = bytearray()

    def add(self, raw: bytes) -> None:
        """Append one record, unless there is no room for the whole of it."""
        if len(self._bytes) + _LENGTH_BYTES + len(raw) <= MAX_RAW_BYTES:
            self._bytes += len(raw).to_bytes(_LENGTH_BYTES, "big") + raw

    def evidence(self) -> tuple[Evidence, ...]:
        """Name, hash and size so far; nothing if no bytes were added."""
        if not self._bytes:
            return ()
        blob = bytes(self._bytes)
        digest = hashlib.sha256(blob).digest()
        self._blobs[digest] = blob
        return (Evidence(name=self._name, sha256=digest, size_bytes=len(blob)),)


class Dossier:
    """An open detection about one subject; its level never falls and its id never changes."""

    def __init__(
        self,
        *,
        device: str,
        subject: Values,
        track_id: str,
        window_start: UnixMicros,
        first: Stamp,
    ) -> None:
        self._subject = identified_subject(subject, first)
        self._track_id = track_id
        self._id = detection_id(device, first.sensor, self._subject, window_start)
        self._first = first
        self._last = first
        self._findings: dict[str, Finding] = {}
        self._verdict = OBSERVED
        self._fired_at: int | None = None
        self._issued: Detection | None = None

    def update(self, findings: Sequence[Finding], verdict: Verdict, stamp: Stamp) -> bool:
        """Take in what a reading showed; True if it must be told now: a new level or rule."""
        is_news = self._issued is None
        for finding in findings:
            is_news = is_news or finding.rule.id not in self._findings
            self._findings[finding.rule.id] = finding
        if verdict.level.rank > self._verdict.level.rank:
            self._verdict = verdict
            is_news = True
        if is_news:
            self._fired_at = stamp.received_us
        self._last = stamp
        return is_news

    @property
    def is_suspected(self) -> bool:
        """Whether the findings make an alert."""
        return self._verdict.alert is not None

    def rename(self, track_id: str) -> None:
        """Give the emitter another name: it continues an earlier trail."""
        self._track_id = track_id

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
        return Detection(
            detection_id=self._id,
            revision=0,
            sensor=self._first.sensor,
            kind=DetectionKind.FAKE_BASE_STATION,
            level=self._verdict.level,
            severity=self._verdict.severity,
            alert=self._verdict.alert,
            score=score(findings),
            reasons=tuple(_reason(f) for f in findings),
            rivals=rivals,
            first_seen=UnixMicros(min(times)),
            last_seen=UnixMicros(max(times)),
            time_basis=TimeBasis(self._first.time_basis),
            track_id=self._track_id,
            subject=self._subject,
            source=Source(file=self._first.file, place=place_range(self._first, self._last)),
            evidence=raw.evidence(),
            fired_at=None if self._fired_at is None else UnixMicros(self._fired_at),
        )


def identified_subject(subject: Values, stamp: Stamp) -> Values:
    """Add the recording's name where times are synthetic: all such recordings begin in 1970."""
    return {**subject, "recording": stamp.file} if stamp.time_basis == "synthetic" else subject


def place_range(first: Stamp, last: Stamp) -> str:
    """``packet 3-40`` if both places are of one kind, else both in full."""
    if first.place == last.place:
        return first.place
    kind, _, number = last.place.rpartition(" ")
    if kind and first.place.rpartition(" ")[0] == kind:
        return f"{first.place}-{number}"
    return f"{first.place} to {last.place}"


def _reason(finding: Finding) -> Reason:
    rule = finding.rule
    return Reason(rule=rule.id, family=rule.family.value, weight=rule.weight, values=finding.values)
