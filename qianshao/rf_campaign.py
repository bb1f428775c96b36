"""``qianshao rf campaign``: false alarms in a simulated city, and time to find a passing blaster.

The city's parameters are the base rates of :class:`hardware.simulators.city.CityRates`; the real
detectors run over its readings, with a baseline that was learned there on another day.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from contract.messages import Detection
from hardware.readings import CellReading
from hardware.simulators.blaster import PLANS, Blaster, Pass, SurveyPlan, is_blaster
from hardware.simulators.city import SECOND_US, START_US, City, Drive
from rf_watch import CellContext, CellWatch
from rf_watch.baseline import Baseline, BaselineLearner

DEVICE = "campaign"
LEARNED_HOURS = 6.0
CITIES = 7
"""Cities that the passes take turns in."""
_DAY_US = 86_400 * SECOND_US
_WARM_UP_S = 900


@dataclass(frozen=True, slots=True)
class Day:
    """One day of van time among genuine cells."""

    seed: int
    readings: int
    alerts: tuple[str, ...]
    """Rules of each false alert; further sightings of one emitter are no new alert."""
    observed: int
    """Detections that were not alerted."""


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes of a blaster under one survey plan."""

    plan: str
    plmn: str
    passes: int
    decoded: int
    """Passes in which it was decoded at least once."""
    found: int
    median_s: float | None
    """From its first decoded reading to the alert."""
    p95_s: float | None
    first_sight_median_s: float | None
    """From its coming within a kilometre to its first decoded reading."""
    first_sight_p95_s: float | None
    false_alerts: int


def learned(seed: int, hours: float = LEARNED_HOURS) -> Baseline:
    """Learn a city's baseline from a drive of another day."""
    learner = BaselineLearner()
    for reading in Drive(City(seed), seed + 777).readings(hours, start_us=START_US - _DAY_US):
        if isinstance(reading, CellReading):
            learner.feed(reading)
    return learner.baseline(f"city {seed}", 1)


def quiet_day(seed: int, hours: float = 24.0) -> Day:
    """Drive through genuine cells only; every alert is a false one."""
    watch = CellWatch(DEVICE, context=CellContext(baseline=learned(seed)))
    alerts: dict[str, str] = {}
    observed: set[bytes] = set()
    count = 0

    def take(detections: Iterable[Detection]) -> None:
        for found in detections:
            if found.alert is None:
                observed.add(found.detection_id)
            else:
                observed.discard(found.detection_id)
                alerts[found.track_id] = ", ".join(reason.rule for reason in found.reasons)

    for reading in Drive(City(seed), seed + 10_000).readings(hours):
        count += 1
        take(watch.feed(reading))
    take(watch.close())
    return Day(seed, count, tuple(alerts.values()), len(observed))


def blaster_passes(
    plan: SurveyPlan,
    plmn: str,
    passes: int,
    baselines: dict[int, Baseline],
    first_seed: int = 0,
) -> Passes:
    """Let a blaster pass so many times and see when it is found."""
    waits: list[float] = []
    sights: list[float] = []
    decoded = false_alerts = 0
    for seed in range(first_seed, first_seed + passes):
        city = first_seed + (seed - first_seed) % CITIES
        if city not in baselines:
            baselines[city] = learned(city)
        context = CellContext(baseline=baselines[city])
        one = Pass(seed, plan, Blaster(plmn=plmn), city=city)
        first_us, found_us, wrong = _one_pass(one, context)
        false_alerts += wrong
        if first_us is None:
            continue
        decoded += 1
        sights.append((first_us - START_US) / SECOND_US - _WARM_UP_S)
        if found_us is not None:
            waits.append((found_us - first_us) / SECOND_US)
    return Passes(
        plan=plan.name,
        plmn=plmn,
        passes=passes,
        decoded=decoded,
        found=len(waits),
        median_s=_quantile(waits, 0.5),
        p95_s=_quantile(waits, 0.95),
        first_sight_median_s=_quantile(sights, 0.5),
        first_sight_p95_s=_quantile(sights, 0.95),
        false_alerts=false_alerts,
    )


def _one_pass(one: Pass, context: CellContext) -> tuple[int | None, int | None, int]:
    """Return the times of the first decoded reading and of the alert, and false alerts."""
    watch = CellWatch(DEVICE, context=context)
    first_us: int | None = None
    found_us: int | None = None
    false_tracks: set[str] = set()
    for reading in one.readings():
        alerted = [found for found in watch.feed(reading) if found.alert is not None]
        if is_blaster(reading):
            first_us = reading.stamp.at_us if first_us is None else first_us
            if alerted and found_us is None:
                found_us = reading.stamp.at_us
        else:
            false_tracks |= {d.track_id for d in alerted if not _names(d, one)}
    return first_us, found_us, len(false_tracks)


def _names(detection: Detection, one: Pass) -> bool:
    """Whether an alert is about the blaster's carrier: its last revision comes later."""
    subject = detection.subject
    return (subject.get("plmn"), subject.get("channel")) == (one.blaster.plmn, one.channel)


def _quantile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    if share == 0.5:
        return round(statistics.median(values), 1)
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 1)


# -- the command ----------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--days", type=int, default=20, help="quiet days (default 20)")
    parser.add_argument("--hours", type=float, default=24.0, help="hours of each (default 24)")
    parser.add_argument("--passes", type=int, default=100, help="passes a plan (default 100)")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the first day, pass and city; a number never used before gives an "
        "independent run (default 0)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")


def main_campaign(args: argparse.Namespace) -> int:
    """Run the command."""
    return run(args, sys.stdout)


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print each day and each survey plan as it is done."""
    false_alerts = readings = 0
    for seed in range(args.first_seed, args.first_seed + args.days):
        day = quiet_day(seed, args.hours)
        false_alerts, readings = false_alerts + len(day.alerts), readings + day.readings
        out.write(_line(args.json, day, _day_text(day)))
        out.flush()
    if args.days and not args.json:
        hours = args.days * args.hours
        out.write(f"{false_alerts} false alerts in {hours:g} h and {readings} readings\n\n")
    baselines: dict[int, Baseline] = {}
    for plan in PLANS if args.passes else ():
        for plmn in ("460-00", "460-01"):
            found = blaster_passes(plan, plmn, args.passes, baselines, args.first_seed)
            out.write(_line(args.json, found, _pass_text(found)))
            out.flush()
    return 0


def _line(is_json: bool, record: Day | Passes, text: str) -> str:
    if not is_json:
        return text + "\n"
    schema = f"qianshao.campaign-{type(record).__name__.lower()}/1"
    return json.dumps({"schema": schema, **asdict(record)}) + "\n"


def _day_text(day: Day) -> str:
    alerts = "; ".join(day.alerts) or "none"
    return (
        f"day {day.seed}: {day.readings} readings, {day.observed} observed, false alerts: {alerts}"
    )


def _pass_text(found: Passes) -> str:
    return (
        f"{found.plan}, {found.plmn}: decoded in {found.decoded} of {found.passes} passes, found "
        f"in {found.found}; alert {found.median_s} s (p95 {found.p95_s} s) after its first decoded "
        f"reading, which came {found.first_sight_median_s} s (p95 {found.first_sight_p95_s} s) "
        f"after it started 1 km away; false alerts: {found.false_alerts}"
    )
