"""Innocent explanations of an unlisted carrier, each tested and written down."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from contract.codec import Values
from contract.messages import Rival
from contract.words import RivalVerdict
from rf_watch.broadcast.geo import distance_m
from rf_watch.broadcast.intermod import Product, Source, third_order
from rf_watch.broadcast.licences import Licence
from rf_watch.broadcast.tracks import Track
from rf_watch.tables.receivers import ReceiverRow

INTERMODULATION = "INTERMODULATION_IN_RECEIVER"
SPLATTER = "ADJACENT_SPLATTER"
IMAGE = "RECEIVER_IMAGE"
SPUR = "RECEIVER_SPUR"
OVERLOAD = "RECEIVER_OVERLOAD"
MOVES_WITH_US = "EMITTER_MOVES_WITH_US"
RELAY = "RELAY_OR_REBROADCAST"
LIST_ERROR = "LIST_ERROR"
OFFSET = "RECEIVER_FREQUENCY_ERROR"

BLOCKING = frozenset({INTERMODULATION, IMAGE, SPUR, OVERLOAD, MOVES_WITH_US, OFFSET})
"""While one of these is possible the carrier stays observed: it may not be there at all."""

PREDICTION_MARGIN_DB, LAWFUL_MARGIN_DB = 15.0, 30.0
"""A product may exceed what the assumed intercept predicts by so much: devices differ by 7 dB, and
a product by twice that. By more where its level obeys the law of a product."""
PARENT_ABOVE_DB = 20.0
STEPS_MIN, STEP_LEAST_DB, STEP_SHARE = 6, 3.0, 1.0
"""A product falls by twice the attenuator's step, a carrier by nothing: the border lies between."""
PRODUCTS_TRIED = 12
LAW_SAMPLES_MIN = 12
LAW_SPREAD_DB = 6.0
"""The level law is asked only where the parents have moved by at least so much."""
LAW_CORRELATION, LAW_SLOPE = 0.7, 0.6
"""A product follows 2 P1 + P2 dB for dB. A lorry or a hill moves a station of its own together
with the others, but by a third of that."""
FREE_CORRELATION, FREE_SLOPE = 0.5, 0.45
"""Below either it does not follow."""
SPUR_ABOVE_FLOOR_DB = 20.0
MOVED_M, MOVED_SPREAD_DB, MOVED_ABOVE_FLOOR_DB = 2000.0, 3.0, 30.0
FIX_PLACES_MIN = 3
"""Bearings of so many places along our way that cross ahead do not come from our own car."""
_OVERLOAD_SHARE = 0.5
PPM_MAX = 60.0


def _rival(explanation: str, verdict: RivalVerdict, values: Values) -> Rival:
    return Rival(explanation=explanation, verdict=verdict, values=values)


def _is(is_possible: bool) -> RivalVerdict:
    return RivalVerdict.POSSIBLE if is_possible else RivalVerdict.RULED_OUT


def intermodulation(
    track: Track, others: Sequence[Track], receiver: ReceiverRow, step_khz: float
) -> Rival:
    """Arithmetic, then the level the receiver could make, then whether it follows its parents."""
    tolerance = max(25.0, 0.6 * step_khz)
    carriers = [Source(round(t.mhz, 3), t.level_db) for t in others if t.is_on]
    carriers.sort(key=lambda c: -c.level_db)
    products = third_order(track.mhz, carriers[:24], tolerance)
    if not products:
        values: Values = {"products": 0, "carriers": len(carriers)}
        return _rival(INTERMODULATION, RivalVerdict.RULED_OUT, values)
    by_mhz = {round(t.mhz, 3): t for t in others}
    tried = [_explained(track, p, by_mhz, receiver) for p in products[:PRODUCTS_TRIED]]
    is_possible, values = next((t for t in tried if t[0]), tried[0])
    return _rival(INTERMODULATION, _is(is_possible), {**values, "products": len(products)})


def attenuator_slope(track: Track) -> tuple[float, float] | None:
    """Step of the attenuator and fall of the corrected level with it; None without enough steps.

    A carrier of its own stays where it is; what the mixer makes falls by twice the step.
    """
    falls = [(step, fall) for step, fall in track.falls if step >= STEP_LEAST_DB]
    if len(falls) < STEPS_MIN:
        return None
    step = statistics.median(step for step, _ in falls)
    return step, statistics.median(fall for _, fall in falls)


def _explained(
    track: Track, product: Product, by_mhz: Mapping[float, Track], receiver: ReceiverRow
) -> tuple[bool, Values]:
    """Whether one product may be what was seen, and the values that say so."""
    parents = [by_mhz[mhz] for mhz in product.parents]
    weakest = min(p.level_db for p in parents)
    values: Values = {
        "formula": product.formula,
        "level_db": round(track.level_db, 1),
        "weakest_parent_db": round(weakest, 1),
    }
    step = attenuator_slope(track)
    if step is not None:
        values["attenuator_step_db"], values["fall_db"] = step[0], round(step[1], 1)
        return step[1] >= STEP_SHARE * step[0], values
    law = _follows(track, parents)
    margin = PREDICTION_MARGIN_DB
    if law is not None:
        together, slope = law
        values["follows_parents"], values["slope"] = round(together, 2), round(slope, 2)
        if together < FREE_CORRELATION or slope < FREE_SLOPE:
            return False, values
        if together >= LAW_CORRELATION and slope >= LAW_SLOPE:
            margin = LAWFUL_MARGIN_DB
    if receiver.iip3_dbm is None:
        rejection = receiver.rejection_db - (margin - PREDICTION_MARGIN_DB)
        return track.level_db <= weakest - rejection, values
    predicted = product.drive_db - 2 * receiver.iip3_dbm
    values["predicted_db"] = round(predicted, 1)
    return track.level_db <= predicted + margin, values


def _follows(track: Track, parents: Sequence[Track]) -> tuple[float, float] | None:
    """Correlation with, and slope on, its parents' 2 P1 + P2 over the same moments.

    None without enough moments, or while the parents have hardly moved.
    """
    series = [{s.at_us: s.level_db for s in p.history} for p in parents]
    mine: list[float] = []
    drive: list[float] = []
    for sample in track.history:
        if all(sample.at_us in s for s in series):
            mine.append(sample.level_db)
            weights = (2, 1) if len(parents) == 2 else (1, 1, 1)
            levels = (s[sample.at_us] for s in series)
            drive.append(sum(w * x for w, x in zip(weights, levels, strict=True)))
    if len(mine) < LAW_SAMPLES_MIN or max(drive) - min(drive) < LAW_SPREAD_DB:
        return None
    if statistics.pstdev(mine) == 0:
        return 0.0, 0.0
    slope = statistics.linear_regression(drive, mine).slope
    return statistics.correlation(mine, drive), slope


def image(track: Track, others: Sequence[Track], receiver: ReceiverRow, step_khz: float) -> Rival:
    """A strong carrier at the receiver's image distance."""
    tolerance = max(0.03, 0.0006 * step_khz)
    for offset in receiver.image_offsets_mhz:
        for other in others:
            is_there = other.is_on and abs(other.mhz + offset - track.mhz) <= tolerance
            if is_there and other.level_db - track.level_db >= receiver.image_rejection_db - 15:
                values: Values = {"of_mhz": round(other.mhz, 3), "offset_mhz": offset}
                return _rival(IMAGE, RivalVerdict.POSSIBLE, values)
    return _rival(IMAGE, RivalVerdict.RULED_OUT, {"offsets": len(receiver.image_offsets_mhz)})


def spur(track: Track, receiver: ReceiverRow) -> Rival:
    """A line of the receiver's own clocks: weak, and always at the same place."""
    for mhz in receiver.spurs_mhz:
        if abs(mhz - track.mhz) <= 0.02 and track.above_floor_db < SPUR_ABOVE_FLOOR_DB:
            values: Values = {"spur_mhz": mhz, "above_floor_db": round(track.above_floor_db, 1)}
            return _rival(SPUR, RivalVerdict.POSSIBLE, values)
    return _rival(SPUR, RivalVerdict.RULED_OUT, {"device": receiver.device.value})


def splatter(track: Track) -> Rival:
    """A neighbour's skirt: maxima below it were never taken for carriers."""
    values: Values = {"neighbour_above_db": round(track.neighbour_above_db, 1)}
    if track.neighbour_mhz:
        values["neighbour_mhz"] = round(track.neighbour_mhz, 3)
    return _rival(SPLATTER, RivalVerdict.RULED_OUT, values)


def overload(track: Track) -> Rival:
    """The whole floor rose while it was seen."""
    is_possible = track.overloaded > _OVERLOAD_SHARE * max(1, track.sightings)
    values: Values = {"sightings": track.sightings, "overloaded": track.overloaded}
    return _rival(OVERLOAD, _is(is_possible), values)


def moves_with_us(track: Track) -> Rival:
    """A transmitter in our own or the next vehicle keeps its level wherever we drive.

    A weak and flat level is no excuse: antennas behind a parapet are heard like that.
    """
    fix = track.fix
    if fix is not None and fix.stations == 1 and fix.places >= FIX_PLACES_MIN:
        where: Values = {"fix_places": fix.places, "semi_major_m": round(fix.semi_major_m)}
        return _rival(MOVES_WITH_US, RivalVerdict.RULED_OUT, where)
    placed = [s for s in track.history if s.position is not None]
    if len(placed) < 6:
        return _rival(MOVES_WITH_US, RivalVerdict.NOT_CHECKED, {"positions": len(placed)})
    first = placed[0].position
    assert first is not None
    moved = max(distance_m(first, s.position) for s in placed if s.position is not None)
    spread = statistics.pstdev(s.level_db for s in placed)
    is_strong = track.above_floor_db >= MOVED_ABOVE_FLOOR_DB
    is_possible = moved >= MOVED_M and spread <= MOVED_SPREAD_DB and is_strong
    values: Values = {"moved_m": round(moved), "spread_db": round(spread, 1)}
    verdict = _is(is_possible) if moved >= MOVED_M else RivalVerdict.NOT_CHECKED
    return _rival(MOVES_WITH_US, verdict, values)


def relay(track: Track, same_pi: Sequence[Licence]) -> Rival:
    """It says it is a licensed station of another frequency: a relay, or a copy."""
    if track.pi is None:
        return _rival(RELAY, RivalVerdict.NOT_CHECKED, {})
    values: Values = {"pi": f"{track.pi:04X}"}
    if same_pi:
        values["licensed_mhz"] = same_pi[0].mhz
    return _rival(RELAY, _is(bool(same_pi)), values)


def list_error(near: Sequence[Licence]) -> Rival:
    """The list is old: a row of this frequency has run out, or is for another place."""
    if near:
        row = near[0]
        values: Values = {"row": row.id}
        if row.valid_to is not None:
            values["valid_to"] = row.valid_to.isoformat()
        return _rival(LIST_ERROR, RivalVerdict.POSSIBLE, values)
    return _rival(LIST_ERROR, RivalVerdict.NOT_CHECKED, {})


def frequency_error(off_khz: float, ppm: float | None, error_khz: float) -> Rival:
    """Off the raster by the receiver's own reference?"""
    values: Values = {"off_khz": round(off_khz, 1), "error_khz": round(error_khz, 1)}
    if ppm is not None:
        values["ppm"] = round(ppm, 1)
    # 60 ppm, the worst receivers, are 6.5 kHz at 108 MHz
    return _rival(OFFSET, _is(abs(off_khz) <= PPM_MAX * 0.108 + 3 * error_khz), values)
