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

from contract.clock import UnixMicros
from contract.codec import Values
from contract.messages import Detection, Rival
from hardware.readings import (
    CellReading,
    MessageReading,
    NasReading,
    NetworkReading,
    Rat,
    Reading,
    SignallingReading,
    Stamp,
)
from rf_watch import rivals
from rf_watch import rule_table as table
from rf_watch.authentication import AuthenticationWatch
from rf_watch.cell_rules import CellRules, date_of, note_neighbour_list
from rf_watch.context import CellContext
from rf_watch.dossier import Blobs, Dossier, RawEvidence
from rf_watch.emitters import CELLS_MAX, CellMemory, Track
from rf_watch.rules import Finding, Strength, judge
from rf_watch.settings import CellSettings
from rf_watch.sightings import (
    EmitterKey,
    IdentityIndex,
    key_of,
    known_cell_id,
    known_lac,
    known_physical_id,
    reading_weight,
)
from rf_watch.signalling import TerminalFinding, TerminalWatch
from rf_watch.surroundings import Surroundings
from rf_watch.trails import Trail, TrailBook

__all__ = ["CELLS_MAX", "CellWatch"]

_MICROS = 1_000_000
_TERMINAL_RULES = frozenset(
    {
        table.REJECT_CAUSE_15.id,
        table.REJECT_THEN_GERAN_REDIRECT.id,
        table.IDENTITY_WITHOUT_SECURITY.id,
        table.NULL_CIPHER.id,
        table.LU_ACCEPTED_WITHOUT_AUTHENTICATION.id,
        table.SMS_WITHOUT_SECURITY.id,
        table.SPOOFED_SENDER.id,
    }
)
"""Rules about what the terminal went through: they hold for the rest of the window."""


class CellWatch:
    """Watches the cells and the terminals of one device."""

    def __init__(
        self,
        device: str,
        settings: CellSettings | None = None,
        context: CellContext | None = None,
    ) -> None:
        self._device = device
        self._settings = settings or CellSettings()
        self._context = context or CellContext()
        self._window_us = self._settings.lac_window_s * _MICROS
        self._tracks: OrderedDict[EmitterKey, Track] = OrderedDict()
        self._identities = IdentityIndex(
            self._window_us, self._settings.tracks_max, self._settings.noise_ratio
        )
        self._surroundings = Surroundings(self._window_us)
        self._rules = CellRules(self._context, self._settings, self._surroundings)
        self._carriers: dict[tuple[str, Rat, int | None], EmitterKey] = {}
        """Emitter heard last on a channel of a sensor."""
        self._serving: dict[str, EmitterKey] = {}
        """Emitter that a sensor's terminal camps on."""
        self._authentications: dict[str, AuthenticationWatch] = {}
        self._terminals: dict[str, TerminalWatch] = {}
        self._trails = TrailBook()
        self._blobs: Blobs = {}

    def feed(self, reading: Reading) -> list[Detection]:
        """Take one reading; returns new detections and new revisions of earlier ones."""
        self._blobs.clear()
        if not isinstance(reading, NetworkReading):
            return []
        sensor = reading.stamp.sensor
        if isinstance(reading, CellReading):
            self._authentication(sensor).see_serving_cell(reading)
            out = self._forget_silent(reading.stamp.at_us)
            return out + self._feed_cell(reading)
        terminal = self._terminals.get(sensor)
        if terminal is None:
            terminal = self._terminals[sensor] = TerminalWatch()
        if isinstance(reading, NasReading):
            out = self._authentication(sensor).feed(reading)
            found = terminal.feed_nas(reading)
        elif isinstance(reading, SignallingReading):
            out, found = [], terminal.feed_signalling(reading)
        else:
            out, found = self._feed_message(reading), terminal.feed_message(reading)
        for one in found:
            out += self._blame(one)
        return out

    def close(self) -> list[Detection]:
        """End everything that is open and return the last revisions."""
        self._blobs.clear()
        out: list[Detection] = []
        for terminal in self._authentications.values():
            out += terminal.close()
        while self._tracks:
            out += self._end_window(self._tracks.popitem(last=False)[1])
        return out

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() or close() names."""
        return [self._blobs[e.sha256] for e in detection.evidence if e.sha256 in self._blobs]

    def _authentication(self, sensor: str) -> AuthenticationWatch:
        if sensor not in self._authentications:
            self._authentications[sensor] = AuthenticationWatch(
                self._device, self._settings, self._blobs
            )
        return self._authentications[sensor]

    # -- cells -----------------------------------------------------------------------------------

    def _feed_cell(self, reading: CellReading) -> list[Detection]:
        key = key_of(reading)
        carrier = (reading.stamp.sensor, reading.rat, reading.channel)
        if key is None:
            return self._supplement(carrier, reading) if _is_supplement(reading) else []
        self._carriers[carrier] = key
        if reading.is_serving:
            self._serving[reading.stamp.sensor] = key
        self._surroundings.note(reading)
        out, track = self._follow(key, reading.stamp)
        self._note(track, reading)
        if track.trail is not None:
            track.trail.note(reading)
        out += self._report(track, reading)
        if track.trail is None and track.dossier is not None and track.dossier.is_suspected:
            out += self._open_trail(track, reading)
        return out

    def trail(self, track_id: str) -> Trail | None:
        """Position-tagged levels of a suspect, by the track id of its detections."""
        return self._trails.get(track_id)

    def _open_trail(self, track: Track, reading: CellReading) -> list[Detection]:
        """Begin to follow a suspect, or go on with one that was followed under another name."""
        own = _track_id(track.key)
        track.trail = self._trails.open(own, reading, track.marks())
        track.trail.note(reading)
        if track.trail.name == own or track.dossier is None:
            return []
        track.dossier.rename(track.trail.name)
        return track.dossier.issue(self._rivals(track), track.raw)

    def _supplement(
        self, carrier: tuple[str, Rat, int | None], reading: CellReading
    ) -> list[Detection]:
        """System information that names no network belongs to the cell heard on its channel."""
        key = self._carriers.get(carrier)
        track = None if key is None else self._tracks.get(key)
        if track is None or abs(reading.stamp.at_us - track.last_us) > self._window_us:
            return []
        track.last_cell()[1].note(reading, self._window_us)
        note_neighbour_list(self._surroundings, track)
        track.raw.add(reading.raw)
        return self._report(track, reading)

    def _forget_silent(self, now_us: int) -> list[Detection]:
        out: list[Detection] = []
        while self._tracks:
            track = next(iter(self._tracks.values()))
            is_silent = abs(now_us - track.last_us) > self._window_us
            if not is_silent and len(self._tracks) <= self._settings.tracks_max:
                break
            self._drop(track)
            out += self._end_window(track)
        return out

    def _drop(self, track: Track) -> None:
        del self._tracks[track.key]
        for carrier in [c for c, key in self._carriers.items() if key == track.key]:
            del self._carriers[carrier]
        if self._serving.get(track.key.sensor) == track.key:
            del self._serving[track.key.sensor]

    def _follow(self, key: EmitterKey, stamp: Stamp) -> tuple[list[Detection], Track]:
        now = stamp.at_us
        window = now // self._window_us
        track = self._tracks.pop(key, None)
        out: list[Detection] = []
        if track is None or abs(now - track.last_us) > self._window_us:
            out += self._end_window(track) if track else []
            track = Track(key, now, window, stamp, self._new_raw())
        elif window > track.window:
            out += self._end_window(track)
            track.begin_window(window, stamp, self._new_raw())
        self._tracks[key] = track
        track.last_us = now
        return out, track

    def _new_raw(self) -> RawEvidence:
        return RawEvidence("cell_records", self._blobs)

    def _note(self, track: Track, reading: CellReading) -> None:
        track.readings += 1
        track.tally.add(reading_weight(reading), reading.stamp.at_us // self._window_us)
        cell_id, lac = known_cell_id(reading), known_lac(reading)
        has_name = cell_id is not None or known_physical_id(reading) is not None
        track.is_complete |= has_name and None not in {lac, reading.channel}
        if track.key.rat is Rat.GSM:
            track.is_complete &= cell_id is not None or track.last_cell()[0] is not None
        cell = track.cell(cell_id, lac)
        cell.note(reading, self._window_us)
        if cell_id is not None:
            self._note_clash(track, cell, reading)
        if reading.neighbour_channels is not None:
            note_neighbour_list(self._surroundings, track)
        car = self._context.register.match(reading, date_of(reading.stamp))
        track.plate = None if car is None else car.plate
        track.raw.add(reading.raw)

    def _note_clash(self, track: Track, cell: CellMemory, reading: CellReading) -> None:
        clash = self._identities.note(reading)
        now = reading.stamp.at_us
        if clash is not None:
            if not track.has_partner_raw:
                track.raw.add(clash.partner_raw)
                track.has_partner_raw = True
            cell.clash, cell.clash_us = clash, now
        elif abs(now - cell.clash_us) > self._window_us:
            cell.clash = None

    # -- terminals -------------------------------------------------------------------------------

    def _feed_message(self, reading: MessageReading) -> list[Detection]:
        """Count a message on the serving cell; its text goes no further than the classifier."""
        out, track = self._serving_track(reading.stamp, reading.rat, reading.channel)
        if track is not None and (reading.part is None or reading.part[2] == 1):
            track.messages[self._context.classify(reading.text)] += 1
            track.raw.add(reading.raw)
            out += self._judge(track, reading.stamp)
        return out

    def _blame(self, found: TerminalFinding) -> list[Detection]:
        """Put a terminal's finding on its serving cell, or on the terminal where none is known."""
        out, track = self._serving_track(found.stamp, found.rat, found.channel)
        if track is None:
            authentication = self._authentication(found.stamp.sensor)
            out += authentication.add(found)
            if authentication.is_reporting:
                return out
            key = EmitterKey(found.stamp.sensor, found.rat, "", None, None)
            ended, track = self._follow(key, found.stamp)
            out += ended
        rule = found.finding.rule.id
        track.findings[rule] = found.finding
        track.rivals[rule] = list(found.rivals)
        track.raw.add(found.raw)
        return out + self._judge(track, found.stamp)

    def _serving_track(
        self, stamp: Stamp, rat: Rat, channel: int | None
    ) -> tuple[list[Detection], Track | None]:
        """The track of the cell that serves a terminal now, if it is heard."""
        key = None
        if channel is not None:
            key = self._carriers.get((stamp.sensor, rat, channel))
        if key is None:
            key = self._serving.get(stamp.sensor)
        track = None if key is None else self._tracks.get(key)
        if track is None or key is None or key.rat is not rat:
            return [], None
        if abs(stamp.at_us - track.last_us) > self._window_us:
            return [], None
        return self._follow(key, stamp)

    # -- judging ---------------------------------------------------------------------------------

    def _report(self, track: Track, reading: CellReading) -> list[Detection]:
        at = date_of(reading.stamp)
        findings = self._rules.findings(
            track,
            reading,
            lambda: self._readings_otherwise(track, at),
            has_more=not _TERMINAL_RULES.isdisjoint(track.findings),
        )
        for finding in findings:
            track.findings[finding.rule.id] = finding
            track.rivals[finding.rule.id] = rivals.of_finding(finding, track, self._context)
        track.current = findings
        return self._judge(track, reading.stamp)

    def _judge(self, track: Track, stamp: Stamp) -> list[Detection]:
        """Weigh what the cell broadcasts now with what its terminal went through."""
        all_findings = [
            *track.current,
            *(f for rule, f in track.findings.items() if rule in _TERMINAL_RULES),
        ]
        if all(f.rule.strength is Strength.SUPPORTING for f in all_findings):
            return []
        if track.messages:
            all_findings.append(_messages_heard(track))
            track.findings[table.MESSAGES_HEARD.id] = all_findings[-1]
        verdict = judge(
            all_findings, self._settings.misreads_min, is_registered=track.plate is not None
        )
        if track.dossier is None:
            track.dossier = Dossier(
                device=self._device,
                subject=_subject(track.key),
                track_id=track.trail.name if track.trail else _track_id(track.key),
                window_start=UnixMicros(track.window * self._window_us),
                first=track.first,
            )
        if not track.dossier.update(all_findings, verdict, stamp):
            return []
        return track.dossier.issue(self._rivals(track), track.raw)

    def _end_window(self, track: Track) -> list[Detection]:
        dossier, track.dossier = track.dossier, None
        return [] if dossier is None else dossier.issue(self._rivals(track), track.raw)

    def _rivals(self, track: Track) -> list[Rival]:
        found = [rivals.decode_error(list(track.findings.values()), self._settings.misreads_min)]
        for rival in itertools.chain.from_iterable(track.rivals.values()):
            if rival not in found:
                found.append(rival)
        return found

    def _readings_otherwise(self, track: Track, at: UnixMicros | None) -> int:
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
                and other.shares_cell_id(track)
                and not self._rules.is_impossible(other.key.plmn, other.key.channel, at)
            ),
            default=0,
        )


def _is_supplement(reading: CellReading) -> bool:
    """Whether a reading without a network tells of the cell that broadcasts it, not of another."""
    return reading.physical_id is None and any(
        value is not None
        for value in (
            reading.neighbours,
            reading.neighbour_channels,
            reading.hysteresis_db,
            reading.priority,
            reading.priority_lte,
            reading.priority_utra,
            reading.priority_geran,
        )
    )


def _messages_heard(track: Track) -> Finding:
    classes = ",".join(f"{name} {count}" for name, count in sorted(track.messages.items()))
    values: Values = {"messages": track.messages.total(), "classes": classes}
    return Finding(rule=table.MESSAGES_HEARD, values=values, misreads=1)


def _subject(key: EmitterKey) -> Values:
    if not key.plmn:
        return {"rat": key.rat.value, "terminal": key.sensor}
    subject: Values = {"rat": key.rat.value, "plmn": key.plmn}
    named = {"channel": key.channel, "cell_id": key.cell_id, "physical_id": key.physical_id}
    subject.update({name: value for name, value in named.items() if value is not None})
    return subject


def _track_id(key: EmitterKey) -> str:
    if not key.plmn:
        return f"signalling/{key.rat.value.lower()}/{key.sensor}"
    parts: list[object] = [key.rat.value.lower(), key.plmn, "-"]
    if key.channel is not None:
        parts[2] = key.channel
    if key.cell_id is not None:
        parts.append(key.cell_id)
    if key.physical_id is not None:
        parts.append(f"pci{key.physical_id}")
    return "/".join(str(part) for part in parts)
