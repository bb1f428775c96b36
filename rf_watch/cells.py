"""Fake base stations: readings of cells and of the test terminal's signalling -> detections.

Pure: no clock, no file, no thread. The same readings in the same order give the same detections.

Memory is bounded by the settings: ``cell.tracks_max`` emitters, each with at most CELLS_MAX cell
ids of LACS_MAX location areas, and as many identities of PLACEMENTS_MAX placements, with one raw
record for each of these and MAX_RAW_BYTES of its window's records; an emitter not heard for
``cell.lac_window_s`` is forgotten. Each sensor has one terminal's episode. An emitter that had to
go for want of room and comes back in the same window begins again at revision 0 of the same id.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field

from contract.clock import UnixMicros
from contract.codec import Values
from contract.messages import Detection, Rival
from hardware.readings import CellReading, NasReading, Rat
from rf_watch import rivals
from rf_watch.authentication import AuthenticationWatch
from rf_watch.dossier import Blobs, Dossier, RawEvidence
from rf_watch.rules import (
    GSM_BAND_IMPOSSIBLE,
    GSM_PLMN_IMPOSSIBLE,
    IDENTITY_CLASH,
    LAC_CHANGES,
    Finding,
    Rule,
    judge,
)
from rf_watch.settings import CellSettings
from rf_watch.sightings import (
    LACS_MAX,
    Clash,
    EmitterKey,
    IdentityIndex,
    Recent,
    Tally,
    key_of,
    known_cell_id,
    known_lac,
    known_physical_id,
    misreads,
    reading_weight,
)
from rf_watch.tables.china_gsm import MCC_CHINA, ChinaGsm

_MICROS = 1_000_000


CELLS_MAX = 16
"""Cell ids remembered for one emitter."""


@dataclass(slots=True)
class _Cell:
    """What was heard of one cell id of an emitter."""

    lacs: Recent[int] = field(default_factory=lambda: Recent[int](LACS_MAX))
    physical_ids: set[int] = field(default_factory=set)
    clash: Clash | None = None
    clash_us: int = 0


@dataclass(slots=True)
class _Track:
    """One emitter, as long as it is heard without a gap."""

    key: EmitterKey
    last_us: int
    window: int
    first: CellReading
    """First reading of the window."""
    raw: RawEvidence
    tally: Tally = field(default_factory=Tally)
    is_complete: bool = False
    cells: OrderedDict[int, _Cell] = field(default_factory=OrderedDict)
    """By cell id, the last heard at the end."""
    has_partner_raw: bool = False
    readings: int = 0
    """Readings in this window."""
    findings: dict[str, Finding] = field(default_factory=dict)
    """Latest finding of each rule in this window."""
    rivals: dict[str, list[Rival]] = field(default_factory=dict)
    """What else it could be, by the same rules."""
    dossier: Dossier | None = None

    def cell(self, cell_id: int) -> _Cell:
        cell = self.cells.pop(cell_id, None) or _Cell()
        self.cells[cell_id] = cell
        if len(self.cells) > CELLS_MAX:
            self.cells.popitem(last=False)
        return cell

    def last_cell(self) -> tuple[int | None, _Cell]:
        """The cell heard last: a record that names no cell id belongs to it."""
        cell_id = next(reversed(self.cells), None)
        return cell_id, _Cell() if cell_id is None else self.cells[cell_id]


class CellWatch:
    """Watches the cells and the terminals of one device."""

    def __init__(
        self,
        device: str,
        settings: CellSettings | None = None,
        tables: ChinaGsm | None = None,
    ) -> None:
        self._device = device
        self._settings = settings or CellSettings()
        self._gsm = tables or ChinaGsm()
        self._window_us = self._settings.lac_window_s * _MICROS
        self._tracks: OrderedDict[EmitterKey, _Track] = OrderedDict()
        self._identities = IdentityIndex(
            self._window_us, self._settings.tracks_max, self._settings.noise_ratio
        )
        self._terminals: dict[str, AuthenticationWatch] = {}
        self._blobs: Blobs = {}

    def feed(self, reading: CellReading | NasReading) -> list[Detection]:
        """Take one reading; returns new detections and new revisions of earlier ones."""
        self._blobs.clear()
        terminal = self._terminal(reading.stamp.sensor)
        if isinstance(reading, NasReading):
            return terminal.feed(reading)
        terminal.see_serving_cell(reading)
        out = self._forget_silent(reading.stamp.at_us)
        key = key_of(reading)
        return out if key is None else out + self._follow(key, reading)

    def close(self) -> list[Detection]:
        """End everything that is open and return the last revisions."""
        self._blobs.clear()
        out: list[Detection] = []
        for terminal in self._terminals.values():
            out += terminal.close()
        while self._tracks:
            out += self._end_window(self._tracks.popitem(last=False)[1])
        return out

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() or close() names."""
        return [self._blobs[e.sha256] for e in detection.evidence if e.sha256 in self._blobs]

    def _terminal(self, sensor: str) -> AuthenticationWatch:
        if sensor not in self._terminals:
            self._terminals[sensor] = AuthenticationWatch(self._device, self._settings, self._blobs)
        return self._terminals[sensor]

    def _forget_silent(self, now_us: int) -> list[Detection]:
        out: list[Detection] = []
        while self._tracks:
            track = next(iter(self._tracks.values()))
            is_silent = abs(now_us - track.last_us) > self._window_us
            if not is_silent and len(self._tracks) <= self._settings.tracks_max:
                break
            del self._tracks[track.key]
            out += self._end_window(track)
        return out

    def _follow(self, key: EmitterKey, reading: CellReading) -> list[Detection]:
        now = reading.stamp.at_us
        window = now // self._window_us
        track = self._tracks.pop(key, None)
        out: list[Detection] = []
        if track is None or abs(now - track.last_us) > self._window_us:
            out += self._end_window(track) if track else []
            track = _Track(key, now, window, reading, RawEvidence("cell_records", self._blobs))
        elif window > track.window:
            out += self._end_window(track)
            track.window, track.first = window, reading
            track.raw, track.has_partner_raw = RawEvidence("cell_records", self._blobs), False
            track.readings = 0
            track.findings.clear()
            track.rivals.clear()
        self._tracks[key] = track
        self._note(track, reading)
        return out + self._report(track, reading)

    def _note(self, track: _Track, reading: CellReading) -> None:
        track.last_us = reading.stamp.at_us
        track.readings += 1
        track.tally.add(reading_weight(reading), reading.stamp.at_us // self._window_us)
        cell_id, lac = known_cell_id(reading), known_lac(reading)
        track.is_complete |= None not in {cell_id, lac, reading.channel}
        if cell_id is not None:
            cell = track.cell(cell_id)
            physical_id = known_physical_id(reading)
            if physical_id is not None:
                cell.physical_ids.add(physical_id)
            if lac is not None:
                cell.lacs.note(lac, reading, self._window_us)
            self._note_clash(track, cell, reading)
        track.raw.add(reading.raw)

    def _note_clash(self, track: _Track, cell: _Cell, reading: CellReading) -> None:
        clash = self._identities.note(reading)
        now = reading.stamp.at_us
        if clash is not None:
            if not track.has_partner_raw:
                track.raw.add(clash.partner_raw)
                track.has_partner_raw = True
            cell.clash, cell.clash_us = clash, now
        elif abs(now - cell.clash_us) > self._window_us:
            cell.clash = None

    def _report(self, track: _Track, reading: CellReading) -> list[Detection]:
        findings = self._findings(track, reading)
        if not findings:
            return []
        for finding in findings:
            track.findings[finding.rule.id] = finding
            track.rivals[finding.rule.id] = _rivals_of(finding.rule, track)
        verdict = judge(findings, self._settings.misreads_min)
        if track.dossier is None:
            track.dossier = Dossier(
                device=self._device,
                subject=_subject(track.key),
                track_id=_track_id(track.key),
                window_start=UnixMicros(track.window * self._window_us),
                first=track.first.stamp,
            )
        if not track.dossier.update(findings, verdict, reading.stamp):
            return []
        return track.dossier.issue(self._rivals(track), track.raw)

    def _end_window(self, track: _Track) -> list[Detection]:
        dossier, track.dossier = track.dossier, None
        return [] if dossier is None else dossier.issue(self._rivals(track), track.raw)

    def _rivals(self, track: _Track) -> list[Rival]:
        found = [rivals.decode_error(list(track.findings.values()), self._settings.misreads_min)]
        for rival in itertools.chain.from_iterable(track.rivals.values()):
            if rival not in found:
                found.append(rival)
        return found

    # -- rules ---------------------------------------------------------------------------------

    def _findings(self, track: _Track, reading: CellReading) -> list[Finding]:
        """Return the rules that hold for the emitter, the soft ones for the cell heard last."""
        found = self._plan_findings(track, reading)
        cell_id, cell = track.last_cell()
        if cell.clash is not None:
            found.append(_clash_finding(cell.clash))
        is_carrier_known = track.key.rat is Rat.GSM and track.key.channel is not None
        if (
            is_carrier_known
            and cell_id is not None
            and len(cell.lacs.seen) >= self._settings.lac_changes_min
        ):
            values: Values = {
                "cell_id": cell_id,
                "lacs": ",".join(str(lac) for lac in sorted(cell.lacs.seen)),
                "lac_count": len(cell.lacs.seen),
                "window_s": self._settings.lac_window_s,
            }
            needed = cell.lacs.misreads(self._settings.noise_ratio)
            found.append(Finding(rule=LAC_CHANGES, values=values, misreads=needed))
        return found

    def _plan_findings(self, track: _Track, reading: CellReading) -> list[Finding]:
        key = track.key
        if key.rat is not Rat.GSM:
            return []
        stamp = reading.stamp
        # A synthetic time is no date: only what no version of the plan allows counts then.
        at = None if stamp.time_basis == "synthetic" else UnixMicros(stamp.at_us)
        found: list[Finding] = []
        row = self._gsm.impossible_plmn(key.plmn, at)
        if row is not None:
            values: Values = {"plmn": key.plmn, "operator": row.operator}
            found.append(self._hard(track, GSM_PLMN_IMPOSSIBLE, values, at))
        block = None
        if key.channel is not None and key.plmn.startswith(f"{MCC_CHINA}-"):
            block = self._gsm.impossible_channel(key.channel, at)
        if block is not None:
            values = {"plmn": key.plmn, "holder": block.holder}
            found.append(self._hard(track, GSM_BAND_IMPOSSIBLE, values, at))
        return found

    def _hard(self, track: _Track, rule: Rule, values: Values, at: UnixMicros | None) -> Finding:
        innocent = self._readings_otherwise(track, at)
        if track.key.channel is not None:
            values["channel"] = track.key.channel
        cell_id, cell = track.last_cell()
        if cell_id is not None:
            values["cell_id"] = cell_id
        if cell.lacs.last is not None:
            values["lac"] = cell.lacs.last
        weight = track.tally.total
        return Finding(
            rule=rule,
            values={**values, "readings": track.readings, "is_also_read_otherwise": innocent > 0},
            misreads=misreads(weight, weight + innocent, self._settings.noise_ratio),
            is_plain=track.is_complete and not innocent,
        )

    def _readings_otherwise(self, track: _Track, at: UnixMicros | None) -> int:
        """Return how often this cell was lately read under a possible PLMN or channel.

        One flipped digit makes an impossible cell of a genuine one; the genuine readings of the
        same cell then stand beside it. Asked only for a cell that breaks a hard rule.
        """
        key = track.key
        return max(
            (
                other.tally.total
                for other in self._tracks.values()
                if other.key.rat is Rat.GSM
                and (other.key.channel == key.channel) != (other.key.plmn == key.plmn)
                and not other.cells.keys().isdisjoint(track.cells)
                and not self._is_impossible(other.key, at)
            ),
            default=0,
        )

    def _is_impossible(self, key: EmitterKey, at: UnixMicros | None) -> bool:
        if self._gsm.impossible_plmn(key.plmn, at) is not None:
            return True
        return key.channel is not None and self._gsm.impossible_channel(key.channel, at) is not None


def _rivals_of(rule: Rule, track: _Track) -> list[Rival]:
    cell = track.last_cell()[1]
    if rule is IDENTITY_CLASH and cell.clash is not None:
        return rivals.of_clash(cell.clash)
    if rule is LAC_CHANGES:
        return rivals.of_lac_changes(cell.lacs, len(cell.physical_ids))
    return [rivals.foreign_network(track.key.plmn)]


def _clash_finding(clash: Clash) -> Finding:
    there = clash.others[-1]
    values: Values = {"plmn": clash.identity.plmn, "cell_id": clash.identity.cell_id}
    if clash.identity.lac is not None:
        values["lac"] = clash.identity.lac
    values["channels"] = f"{clash.here.channel},{there.channel}"
    if clash.here.physical_id is not None and there.physical_id is not None:
        values["physical_ids"] = f"{clash.here.physical_id},{there.physical_id}"
    return Finding(rule=IDENTITY_CLASH, values=values, misreads=clash.misreads)


def _subject(key: EmitterKey) -> Values:
    subject: Values = {"rat": key.rat.value, "plmn": key.plmn}
    if key.channel is not None:
        subject["channel"] = key.channel
    if key.cell_id is not None:
        subject["cell_id"] = key.cell_id
    return subject


def _track_id(key: EmitterKey) -> str:
    parts: list[object] = [key.rat.value.lower(), key.plmn, "-"]
    if key.channel is not None:
        parts[2] = key.channel
    if key.cell_id is not None:
        parts.append(key.cell_id)
    return "/".join(str(part) for part in parts)
