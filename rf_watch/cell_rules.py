"""The rules for broadcast cells: what was heard of one emitter -> findings.

Supporting rules are asked only where another reason stands, for alone they say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contract.clock import UnixMicros
from contract.codec import Values
from hardware.readings import CellReading, Rat, Stamp
from rf_watch import rule_table as table
from rf_watch.context import CellContext
from rf_watch.emitters import CellMemory, Track
from rf_watch.rules import HARD, Finding, Rule
from rf_watch.settings import CellSettings
from rf_watch.sightings import Clash, misreads
from rf_watch.surroundings import CellName, Surroundings
from rf_watch.tables import china_lte
from rf_watch.tables.china_gsm import MCC_CHINA
from rf_watch.trails import Motion

AREAS_RESERVED = frozenset({0x0000, 0xFFFE})  # TS 23.003 section 4.1
CONSTANTS_NATS_MIN = 4.6
"""Unusual constants count from here, -ln 0.01: more than any single one can reach."""
_OF_KNOWN_CELLS = frozenset(
    {
        *(rule.id for rule in table.RULES if rule.strength in HARD),
        table.IDENTITY_CLASH.id,
        table.LAC_CHANGES.id,
    }
)
"""What a learned cell is not excused from: the plan's hard rules, and what it does by now."""
ONE_CONSTANT_NATS_MIN = 3.0
"""Below it, ln 20, a constant is not odd."""


@dataclass(frozen=True, slots=True)
class CellRules:
    """Asks every rule about an emitter, the soft ones about the cell heard last."""

    context: CellContext
    settings: CellSettings
    surroundings: Surroundings

    def findings(
        self,
        track: Track,
        reading: CellReading,
        innocent: Callable[[], int],
        *,
        has_more: bool = False,
    ) -> list[Finding]:
        """Return what holds now.

        ``innocent`` counts readings of the same cell in lawful form; ``has_more`` says that the
        terminal it serves gives a reason of its own.
        """
        at = date_of(reading.stamp)
        if self.context.plan and self.context.plan.match(reading, at) is not None:
            return []  # a plan row in every field has no reasons (scenario format 4.2)
        if reading.plmns:
            track.is_known = self.context.baseline.is_known(reading)
        found = [*self._hard(track, at, innocent), *self._soft(track, at)]
        if track.is_known:  # a cell that looks as it looked when it was learned is not odd
            found = [f for f in found if f.rule.id in _OF_KNOWN_CELLS]
        if found or has_more:
            found += self._supporting(track, reading)
        return found

    # -- hard rules ------------------------------------------------------------------------------

    def is_impossible(self, plmn: str, channel: int | None, at: UnixMicros | None) -> bool:
        """Whether GSM under this PLMN or on this channel is forbidden to everyone."""
        if self.context.gsm.impossible_plmn(plmn, at) is not None:
            return True
        return channel is not None and self.context.gsm.impossible_channel(channel, at) is not None

    def _hard(
        self, track: Track, at: UnixMicros | None, innocent: Callable[[], int]
    ) -> Iterator[Finding]:
        key, gsm = track.key, self.context.gsm
        if key.rat is not Rat.GSM:
            return
        is_chinese = key.plmn.startswith(f"{MCC_CHINA}-")
        row = gsm.impossible_plmn(key.plmn, at)
        if row is not None:
            values: Values = {"plmn": key.plmn, "operator": row.operator}
            yield self._hard_finding(track, table.GSM_PLMN_IMPOSSIBLE, values, innocent())
        block = None
        if key.channel is not None and is_chinese:
            block = gsm.impossible_channel(key.channel, at)
        if block is not None:
            values = {"plmn": key.plmn, "holder": block.holder}
            yield self._hard_finding(track, table.GSM_BAND_IMPOSSIBLE, values, innocent())
        other = None
        if key.channel is not None and row is None and block is None:
            other = gsm.others_block(key.plmn, key.channel, at)
        if other is not None:
            values = {"plmn": key.plmn, "holder": other.operator, "plan": other.source_date}
            yield self._hard_finding(track, table.GSM_PLMN_ARFCN_MISMATCH, values, innocent())
        if gsm.is_switched_off(key.plmn, at):
            values = {"plmn": key.plmn}
            yield self._hard_finding(track, table.GSM_AFTER_SUNSET, values, innocent())

    def _hard_finding(self, track: Track, rule: Rule, values: Values, innocent: int) -> Finding:
        cell_id, cell = track.last_cell()
        extra: Values = {"readings": track.readings, "is_also_read_otherwise": innocent > 0}
        named = {"channel": track.key.channel, "cell_id": cell_id, "lac": cell.lacs.last}
        extra.update({name: value for name, value in named.items() if value is not None})
        weight = track.tally.total
        return Finding(
            rule=rule,
            values={**values, **extra},
            misreads=misreads(weight, weight + innocent, self.settings.noise_ratio),
            is_plain=track.is_complete and not innocent,
        )

    # -- soft rules ------------------------------------------------------------------------------

    def _soft(self, track: Track, at: UnixMicros | None) -> list[Finding]:
        cell = track.last_cell()[1]
        found = [*self._area(track, cell, at), *self._constants(track, cell)]
        if cell.clash is not None:
            found.append(_clash(cell.clash))
        found += self._lac_changes(track)
        found += self._pci_on_several(track, cell)
        found += self._property(
            track, "steering", table.PRIORITY_STEERING_TO_GERAN, lambda v: v > 0, "above_lte_by"
        )
        return found

    def _area(self, track: Track, cell: CellMemory, at: UnixMicros | None) -> Iterator[Finding]:
        """LAC or TAC against plan, baseline and standard: one family, the first that holds."""
        rat, plmn = track.key.rat, track.key.plmn
        noise = self.settings.noise_ratio
        reserved = cell.all_areas.odd(AREAS_RESERVED.__contains__, noise)
        if reserved is not None:
            yield _finding(table.LAC_RESERVED, reserved[1], lac_tac=reserved[0])
        plan = self.context.plan
        unplanned = cell.lacs.odd(lambda area: plan.is_area_unplanned(rat, plmn, area, at), noise)
        if unplanned is not None:
            rule = table.LAC_NOT_IN_PLAN if rat is Rat.GSM else table.TAC_NOT_IN_PLAN
            yield _finding(rule, unplanned[1], plmn=plmn, lac_tac=unplanned[0])
            return
        known = self.context.baseline.areas(rat, plmn)
        unknown = cell.lacs.odd(lambda area: area not in known, noise) if known else None
        if unknown is None:
            return
        witnesses = self.surroundings.others(rat, plmn, track.key.channel)
        count = sum(name.lac in known for name in witnesses)
        if count:
            yield _finding(
                table.LAC_OUTSIDE_BASELINE,
                unknown[1],
                plmn=plmn,
                lac_tac=unknown[0],
                known_areas=len(known),
                witnesses=count,
            )

    def _constants(self, track: Track, cell: CellMemory) -> Iterator[Finding]:
        if track.key.rat is Rat.GSM:
            yield from self._property(track, "neighbours", table.NO_NEIGHBOURS, lambda v: v == 0)
            short = self.settings.t3212_short_decihours
            yield from self._property(
                track, "t3212", table.T3212_SHORT, lambda v: 1 <= v <= short, "t3212_decihours"
            )
            yield from self._cro_extreme(track)
        yield from self._unusual(track, cell, table.UNUSUAL_CONSTANTS)

    def _property(
        self,
        track: Track,
        name: str,
        rule: Rule,
        is_odd: Callable[[int], bool],
        label: str = "",
    ) -> Iterator[Finding]:
        recent = track.last_cell()[1].properties.get(name)
        odd = recent.odd(is_odd, self.settings.noise_ratio) if recent else None
        if odd is not None:
            yield Finding(rule=rule, values={label or name: odd[0]}, misreads=odd[1])

    def _cro_extreme(self, track: Track) -> Iterator[Finding]:
        recent = track.last_cell()[1].properties.get("cro_db")
        usual = self.usual_cro_db(track.key.plmn)
        if recent is None or usual is None:
            return
        limit = usual + self.settings.cro_extreme_db
        odd = recent.odd(lambda value: value >= limit, self.settings.noise_ratio)
        if odd is not None:
            yield _finding(table.CRO_EXTREME, odd[1], cro_db=odd[0], usual_cro_db=usual)

    def usual_cro_db(self, plmn: str) -> int | None:
        """Highest offset of the operator's genuine cells; None: nothing is known of them."""
        known = [
            value
            for value in (
                self.context.plan.highest_cro_db(plmn),
                self.context.baseline.highest_cro_db(plmn),
            )
            if value is not None
        ]
        return max(known) if known else None

    def _unusual(self, track: Track, cell: CellMemory, rule: Rule) -> Iterator[Finding]:
        """Compare the constants with the baseline; one odd constant makes the weaker rule."""
        baseline = self.context.baseline
        if not baseline.networks:
            return
        rat, plmn = track.key.rat, track.key.plmn
        odd: dict[str, tuple[int, float, int]] = {}
        for name, recent in cell.properties.items():
            if recent.last is None:
                continue
            nats = baseline.nats(rat, plmn, name, recent.last)
            if nats is not None and nats >= 1 and not self._has_own_rule(name, recent.last, plmn):
                value = recent.last
                count = recent.odd(value.__eq__, self.settings.noise_ratio)
                odd[name] = (value, nats, count[1] if count else 0)
        total = sum(nats for _, nats, _ in odd.values())
        is_unusual = total >= CONSTANTS_NATS_MIN
        if total < ONE_CONSTANT_NATS_MIN or is_unusual is not (rule is table.UNUSUAL_CONSTANTS):
            return
        values: Values = {name: value for name, (value, _, _) in odd.items()}
        yield Finding(
            rule=rule,
            values={**values, "nats": round(total, 2), "region": baseline.region},
            misreads=min(count for _, _, count in odd.values()),
            own_weight=total,
        )

    def _has_own_rule(self, name: str, value: int, plmn: str) -> bool:
        """A constant that fires a rule of its own is no second reason."""
        if name == "t3212":
            return 1 <= value <= self.settings.t3212_short_decihours
        usual = self.usual_cro_db(plmn) if name == "cro_db" else None
        return usual is not None and value >= usual + self.settings.cro_extreme_db

    def _lac_changes(self, track: Track) -> Iterator[Finding]:
        cell_id, cell = track.last_cell()
        is_carrier_known = track.key.rat is Rat.GSM and track.key.channel is not None
        count = len(cell.lacs.seen)
        if not is_carrier_known or cell_id is None or count < self.settings.lac_changes_min:
            return
        values: Values = {
            "cell_id": cell_id,
            "lacs": ",".join(str(lac) for lac in sorted(cell.lacs.seen)),
            "lac_count": count,
            "window_s": self.settings.lac_window_s,
        }
        needed = cell.lacs.misreads(self.settings.noise_ratio)
        yield Finding(rule=table.LAC_CHANGES, values=values, misreads=needed)

    def _pci_on_several(self, track: Track, cell: CellMemory) -> Iterator[Finding]:
        key = track.key
        pci = key.physical_id
        if key.rat is not Rat.LTE or pci is None:
            return
        plan = self.context.plan
        unplanned = [
            c for c in cell.channels.seen if plan.is_pci_planned(key.plmn, pci, c) is False
        ]
        carriers = {china_lte.lte_mhz(channel) or channel for channel in unplanned}
        if len(carriers) < self.settings.pci_earfcn_min:
            return
        # every carrier but the best heard one would have to be misread
        counts = sorted(cell.channels.seen[channel].tally.total for channel in unplanned)
        needed = misreads(sum(counts[:-1]), sum(counts), self.settings.noise_ratio)
        listed = ",".join(str(channel) for channel in sorted(unplanned))
        yield _finding(table.PCI_ON_SEVERAL_EARFCN, needed, plmn=key.plmn, pci=pci, earfcns=listed)

    # -- supporting rules ------------------------------------------------------------------------

    def _supporting(self, track: Track, reading: CellReading) -> Iterator[Finding]:
        key, around = track.key, self.surroundings
        cell = track.last_cell()[1]
        weight = track.tally.total
        yield from self._unusual(track, cell, table.ODD_CONSTANT)
        if cell.neighbour_channels is not None:
            asymmetry = around.asymmetry(key.rat, key.plmn, key.channel, cell.neighbour_channels)
            if asymmetry is not None and cell.neighbour_channels:
                yield _finding(
                    table.NEIGHBOUR_ASYMMETRY,
                    weight,
                    witnesses=asymmetry.witnesses,
                    listed=len(cell.neighbour_channels),
                    heard_channels=asymmetry.heard_channels,
                )
        lac = cell.lacs.last
        others = 0 if lac is None else around.is_lonely(key.rat, key.plmn, lac, key.channel)
        if others:
            yield _finding(table.LONELY_CELL, weight, lac_tac=lac or 0, other_cells=others)
        yield from self._channel(track, weight)
        yield from _mobile(track, weight)
        if key.channel is not None:
            sunk = around.rose_while_others_sank(key.rat, key.channel, reading.stamp.at_us)
            if sunk is not None:
                yield _finding(
                    table.STRONG_WHILE_OTHERS_SINK,
                    weight,
                    level_dbm=sunk.level_dbm,
                    sunk=sunk.sunk,
                    carriers=sunk.others,
                    median_fall_db=round(sunk.median_db, 1),
                )

    def _channel(self, track: Track, weight: int) -> Iterator[Finding]:
        channel = track.last_cell()[1].channels.last
        if channel is None or not track.key.plmn.startswith(f"{MCC_CHINA}-"):
            return
        mhz = None
        if track.key.rat is Rat.LTE:
            mhz = china_lte.lte_mhz(channel)
        elif track.key.rat is Rat.NR:
            mhz = china_lte.nr_mhz(channel)
        if mhz is not None and china_lte.is_outside(mhz):
            yield _finding(table.CHANNEL_OUTSIDE_PLAN, weight, channel=channel, mhz=mhz)


def _mobile(track: Track, weight: int) -> Iterator[Finding]:
    shift = track.trail.motion() if track.trail is not None else None
    if shift is not None and shift.motion is Motion.MOBILE:
        values = {"shift_m": round(shift.shift_m), "llr": shift.llr, "samples": shift.samples}
        yield _finding(table.MOBILE_EMITTER, weight, **values)


def note_neighbour_list(around: Surroundings, track: Track) -> None:
    """Tell the surroundings the list of the cell heard last, so that others can be compared."""
    cell_id, cell = track.last_cell()
    if cell.neighbour_channels is None or cell_id is None or cell.lacs.last is None:
        return
    name = CellName(cell.lacs.last, cell_id)
    around.note_list(track.key.rat, track.key.plmn, name, cell.neighbour_channels)


def date_of(stamp: Stamp) -> UnixMicros | None:
    """Return the time of a reading as a date; a synthetic time is none."""
    return None if stamp.time_basis == "synthetic" else UnixMicros(stamp.at_us)


def _finding(rule: Rule, needed: int, **values: int | float | str) -> Finding:
    return Finding(rule=rule, values=dict(values), misreads=needed)


def _clash(clash: Clash) -> Finding:
    there = clash.others[-1]
    values: Values = {"plmn": clash.identity.plmn, "cell_id": clash.identity.cell_id}
    if clash.identity.lac is not None:
        values["lac"] = clash.identity.lac
    values["channels"] = f"{clash.here.channel},{there.channel}"
    if clash.here.physical_id is not None and there.physical_id is not None:
        values["physical_ids"] = f"{clash.here.physical_id},{there.physical_id}"
    return Finding(rule=table.IDENTITY_CLASH, values=values, misreads=clash.misreads)
