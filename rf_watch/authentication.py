"""Runs of refused authentications of the sniffer's own test terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contract.clock import UnixMicros
from contract.codec import Values
from contract.messages import Detection, Rival
from contract.words import RivalVerdict
from hardware.readings import CellReading, NasReading, NasType, Rat, Stamp
from rf_watch.dossier import Blobs, Dossier, RawEvidence
from rf_watch.rule_table import AUTH_MAC_FAILURE_RUN
from rf_watch.rules import Finding, judge
from rf_watch.settings import CellSettings

if TYPE_CHECKING:
    from rf_watch.signalling import TerminalFinding

EMM_CAUSE_MAC_FAILURE = 20  # TS 24.301 annex A
EMM_CAUSE_SYNCH_FAILURE = 21
RUNS_LISTED = 20
"""Lengths of more runs than these are counted but no longer listed."""

GOOD_AUTHENTICATIONS = frozenset(
    {
        NasType.AUTHENTICATION_RESPONSE,
        NasType.SECURITY_MODE_COMPLETE,
        NasType.ATTACH_ACCEPT,
        NasType.ATTACH_COMPLETE,
        NasType.TAU_ACCEPT,
        NasType.TAU_COMPLETE,
    }
)
"""Messages that follow only where network and SIM have proved themselves to each other."""

_MICROS = 1_000_000


@dataclass(slots=True)
class _Episode:
    """MAC failures with no quiet gap between them; several runs may lie in one."""

    first: Stamp
    last_us: int
    subject: Values
    track_id: str
    raw: RawEvidence
    pending: list[bytes] = field(default_factory=list)
    """Frames of a run that is still too short to count."""
    run: int = 0
    """Length of the current run."""
    runs: list[int] = field(default_factory=list)
    """Lengths of ended runs that counted, the first RUNS_LISTED of them."""
    runs_ended: int = 0
    longest: int = 0
    failures: int = 0
    """Failures in runs that count."""
    synch_failures: int = 0
    dossier: Dossier | None = None


class AuthenticationWatch:
    """Follows one terminal. Memory: one episode, at most ``mac_failures_min`` frames kept."""

    def __init__(self, device: str, settings: CellSettings, blobs: Blobs) -> None:
        self._device = device
        self._settings = settings
        self._blobs = blobs
        self._gap_us = settings.episode_gap_s * _MICROS
        self._good = 0
        self._serving: CellReading | None = None
        self._episode: _Episode | None = None
        self._extra: dict[str, TerminalFinding] = {}
        """What else the terminal went through, the latest of each rule."""

    def see_serving_cell(self, reading: CellReading) -> None:
        """Remember the LTE cell that the terminal camps on: it names the network of a run."""
        if reading.is_serving and reading.rat is Rat.LTE:
            self._serving = reading

    def feed(self, reading: NasReading) -> list[Detection]:
        """Take one NAS message."""
        out = self._end_if_quiet(reading.stamp.at_us)
        if reading.type in GOOD_AUTHENTICATIONS:
            self._good += 1
            out += self._end_run()
        elif reading.type is NasType.AUTHENTICATION_FAILURE:
            if reading.cause == EMM_CAUSE_MAC_FAILURE:
                out += self._mac_failure(reading)
            elif reading.cause == EMM_CAUSE_SYNCH_FAILURE and self._episode is not None:
                self._episode.synch_failures += 1
        return out

    @property
    def is_reporting(self) -> bool:
        """Whether a run is under way that has been reported."""
        return self._episode is not None and self._episode.dossier is not None

    def add(self, found: TerminalFinding) -> list[Detection]:
        """Take what else the terminal went through; it is told with a run of failures."""
        self._extra[found.finding.rule.id] = found
        episode = self._episode
        if episode is None or episode.dossier is None:
            return []
        episode.raw.add(found.raw)
        return self._report(episode, found.stamp)

    def _extras(self, episode: _Episode) -> list[TerminalFinding]:
        return [
            found
            for found in self._extra.values()
            if abs(found.stamp.at_us - episode.last_us) <= self._gap_us
        ]

    def close(self) -> list[Detection]:
        """End what is open and return its last revision."""
        out = self._end_run()
        episode, self._episode = self._episode, None
        if episode is not None and episode.dossier is not None:
            out += episode.dossier.issue(self._rivals(episode), episode.raw)
        return out

    def _end_if_quiet(self, now_us: int) -> list[Detection]:
        # The distance, not the difference: after a step of the clock nothing is continuous.
        if self._episode is None or abs(now_us - self._episode.last_us) <= self._gap_us:
            return []
        return self.close()

    def _mac_failure(self, reading: NasReading) -> list[Detection]:
        episode = self._episode
        if episode is None or (episode.dossier is None and episode.run == 0):
            # Failures that a good authentication repaired at once belong to no episode.
            episode = self._episode = self._begin(reading)
        episode.last_us = reading.stamp.at_us
        episode.run += 1
        episode.pending.append(reading.raw)
        if episode.run < self._settings.mac_failures_min:
            return []
        for raw in episode.pending:
            episode.raw.add(raw)
        episode.failures += len(episode.pending)
        episode.pending.clear()
        return self._report(episode, reading.stamp)

    def _begin(self, reading: NasReading) -> _Episode:
        stamp = reading.stamp
        subject: Values = {"rat": Rat.LTE.value, "terminal": stamp.sensor}
        cell = self._serving
        if cell is not None and abs(stamp.at_us - cell.stamp.at_us) <= self._gap_us:
            if cell.plmns:
                subject["plmn"] = cell.plmns[0]
            if cell.channel is not None:
                subject["channel"] = cell.channel
            if cell.cell_id is not None:
                subject["cell_id"] = cell.cell_id
        names = [str(subject[name]) for name in sorted(subject) if name not in {"rat", "terminal"}]
        return _Episode(
            first=stamp,
            last_us=stamp.at_us,
            subject=subject,
            track_id="/".join(["nas", stamp.sensor, *names]),
            raw=RawEvidence("nas_frames", self._blobs),
        )

    def _report(self, episode: _Episode, stamp: Stamp) -> list[Detection]:
        findings = [self._finding(episode), *(f.finding for f in self._extras(episode))]
        verdict = judge(findings, self._settings.misreads_min)
        if episode.dossier is None:
            episode.dossier = Dossier(
                device=self._device,
                subject=episode.subject,
                track_id=episode.track_id,
                window_start=UnixMicros(episode.first.at_us),
                first=episode.first,
            )
        if not episode.dossier.update(findings, verdict, stamp):
            return []
        return episode.dossier.issue(self._rivals(episode), episode.raw)

    def _end_run(self) -> list[Detection]:
        episode = self._episode
        if episode is None:
            return []
        run, episode.run = episode.run, 0
        episode.pending.clear()
        if run < self._settings.mac_failures_min or episode.dossier is None:
            return []
        episode.runs_ended += 1
        episode.longest = max(episode.longest, run)
        if len(episode.runs) < RUNS_LISTED:
            episode.runs.append(run)
        return episode.dossier.issue(self._rivals(episode), episode.raw)

    def _finding(self, episode: _Episode) -> Finding:
        is_running = episode.run >= self._settings.mac_failures_min
        runs = [*episode.runs, *([episode.run] if is_running else [])][:RUNS_LISTED]
        return Finding(
            rule=AUTH_MAC_FAILURE_RUN,
            values={
                "cause": EMM_CAUSE_MAC_FAILURE,
                "failures": episode.failures,
                "runs": ",".join(str(length) for length in runs),
                "run_count": episode.runs_ended + is_running,
            },
            misreads=max(episode.longest, episode.run),
        )

    def _rivals(self, episode: _Episode) -> tuple[Rival, ...]:
        """What else it could be."""
        longest = max(episode.longest, episode.run)
        return (
            Rival(
                explanation="SIM_OR_HSS_FAULT",
                verdict=RivalVerdict.RULED_OUT if self._good else RivalVerdict.POSSIBLE,
                values={"good_authentications": self._good},
            ),
            Rival(
                explanation="IDENTITY_MAPPING_REPAIR",  # TS 24.301 section 5.4.2.7 c
                verdict=RivalVerdict.RULED_OUT if longest > 2 else RivalVerdict.POSSIBLE,
                values={"longest_run": longest},
            ),
            Rival(
                explanation="SYNCH_FAILURE",
                verdict=RivalVerdict.RULED_OUT,
                values={"synch_failures": episode.synch_failures},
            ),
            *(rival for found in self._extras(episode) for rival in found.rivals),
        )
