"""The rules of the broadcast detector as data; ``docs/detection-broadcast.md`` explains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from contract.codec import Values

FAMILY_CAP = 7.0
"""No family adds more than this to a score."""


class BroadcastFamily(StrEnum):
    """Kinds of evidence."""

    LICENCE = "licence"
    RASTER = "raster"
    STATION_IDENTITY = "station_identity"
    AUDIO = "audio"
    DIRECTION = "direction"
    LEVEL = "level"
    TIMING = "timing"
    AVIATION = "aviation"


class Subkind(StrEnum):
    """Finer kinds of a suspected broadcast (scenario format, section 4.2)."""

    UNLICENSED = "UNLICENSED"
    OFF_RASTER = "OFF_RASTER"
    COCHANNEL_HIJACK = "COCHANNEL_HIJACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastRule:
    """One row of the table."""

    id: str
    observed: str
    family: BroadcastFamily
    is_accusing: bool
    """By itself, after the dwell time and the rivals, it makes a suspicion; else it only adds."""
    weight: float
    """Natural logarithm of the likelihood ratio, illegal against licensed."""
    weight_basis: str
    source: str
    false_positives: str


CARRIER = BroadcastRule(
    id="FM-CARRIER",
    observed="A carrier stands in the broadcast band; no licence list says whether it may",
    family=BroadcastFamily.LICENCE,
    is_accusing=False,
    weight=0.0,
    weight_basis="nothing is claimed without a list",
    source="recorded sweeps",
    false_positives="Every licensed station",
)
UNLISTED = BroadcastRule(
    id="FM-UNLISTED",
    observed="A carrier on the raster that no valid row of the licence list names",
    family=BroadcastFamily.LICENCE,
    is_accusing=True,
    weight=3.0,
    weight_basis="choice: 20 to 1 once dwell time and receiver-made phantoms are ruled out",
    source="regulators' practice: compare with the station data base",
    false_positives="A list that lacks a relay, campus or temporary station; phantoms of the "
    "receiver (intermodulation, image, spur), which are tested one by one",
)
OFF_RASTER = BroadcastRule(
    id="FM-OFF-RASTER",
    observed="A carrier more than fm.off_raster_khz beside the raster",
    family=BroadcastFamily.RASTER,
    is_accusing=True,
    weight=4.6,
    weight_basis="choice: 100 to 1; no licensed station stands there (GB/T 4311-2000)",
    source="Wuhan 2018: 103.55 MHz, found only through interference with tower control",
    false_positives="A receiver whose reference is off (corrected by licensed carriers), two "
    "stations 100 kHz apart taken for one by a coarse sweep",
)
HIJACK_PI = BroadcastRule(
    id="FM-COCHANNEL-PI",
    observed="On a licensed frequency the RDS programme identification is another station's",
    family=BroadcastFamily.STATION_IDENTITY,
    is_accusing=True,
    weight=4.6,
    weight_basis="choice: three equal clean blocks are not a reception error",
    source="EN 50067 section 3.2.1.1; tuner users' experience with false PI codes",
    false_positives="A distant licensed station in an opening (sporadic E), a list with an old PI",
)
HIJACK_AUDIO = BroadcastRule(
    id="FM-COCHANNEL-AUDIO",
    observed="On a licensed frequency the programme does not correlate with the licensed one",
    family=BroadcastFamily.AUDIO,
    is_accusing=True,
    weight=4.6,
    weight_basis="scenario format: one programme above 0.8, others below 0.2",
    source="Yiliang 2017: 91.8 MHz of a licensed station taken over, found by listeners",
    false_positives="A stale reference; a local opt-out of the licensed network",
)
HIJACK_BEARING = BroadcastRule(
    id="FM-COCHANNEL-BEARING",
    observed="On a licensed frequency the bearing does not point to the licensed site",
    family=BroadcastFamily.DIRECTION,
    is_accusing=True,
    weight=3.7,
    weight_basis="choice: 40 to 1 where the mean of several bearings is off",
    source="regulators' practice: cross bearings of fixed stations",
    false_positives="Reflections in a street canyon, a wrong site in the list",
)
HIJACK_HOURS = BroadcastRule(
    id="FM-COCHANNEL-HOURS",
    observed="A licensed frequency is on the air outside of its licensed hours",
    family=BroadcastFamily.TIMING,
    is_accusing=True,
    weight=3.0,
    weight_basis="choice: 20 to 1 after the dwell time",
    source="Chongqing and Wuzhou cases: transmitters by timer, at night, where the channel is free",
    false_positives="A station that runs over its hours; a transmitter test; hours of another day",
)
LEVEL = BroadcastRule(
    id="FM-LEVEL",
    observed="A licensed frequency is far stronger than its site and power explain",
    family=BroadcastFamily.LEVEL,
    is_accusing=False,
    weight=1.5,
    weight_basis="choice; the model spreads by 10 dB (broadcast/geo.py)",
    source="scenario format section 3.1 for the model",
    false_positives="A hill with a line of sight; a wrong power in the list; antenna gain",
)
LEVEL_STEP = BroadcastRule(
    id="FM-LEVEL-STEP",
    observed="A licensed frequency is suddenly received otherwise than before, and stays so",
    family=BroadcastFamily.LEVEL,
    is_accusing=False,
    weight=1.5,
    weight_basis="choice; it asks for a bearing or a listener, it names nobody",
    source="Yiliang 2017: a stronger transmitter takes a licensed frequency over",
    false_positives="The station changed its power, antenna or site; ours was turned",
)
FIX = BroadcastRule(
    id="FM-FIX",
    observed="Bearings of several places cross: where it stands, with a 95 % ellipse",
    family=BroadcastFamily.DIRECTION,
    is_accusing=False,
    weight=0.0,
    weight_basis="it says where, not what",
    source="regulators' practice: cross bearings, then a van; scenario format section 5",
    false_positives="A reflection that all bearings share; two transmitters on one frequency",
)
TWIN = BroadcastRule(
    id="FM-TWIN",
    observed="Another unlisted carrier comes and goes together with this one",
    family=BroadcastFamily.TIMING,
    is_accusing=False,
    weight=2.3,
    weight_basis="choice: ln 10",
    source="Tongliao 2021: 90.5 and 94.5 MHz on one roof, one timer",
    false_positives="Two unlisted relays of one site",
)
PI_UNKNOWN = BroadcastRule(
    id="FM-PI-UNKNOWN",
    observed="An unlisted carrier names a programme identification that no row has",
    family=BroadcastFamily.STATION_IDENTITY,
    is_accusing=False,
    weight=0.7,
    weight_basis="choice: ln 2; few Chinese stations send RDS, so its absence means nothing",
    source="logs of real unlicensed stations",
    false_positives="A list without PI codes",
)
PHONE_NUMBER = BroadcastRule(
    id="FM-PHONE-NUMBER",
    observed="A telephone number in the station name or RadioText",
    family=BroadcastFamily.STATION_IDENTITY,
    is_accusing=False,
    weight=1.6,
    weight_basis="choice: ln 5 for an unlisted carrier; licensed stations show hotlines too",
    source="logs of real unlicensed stations: a mobile number scrolled through the station name",
    false_positives="A licensed station's service line: never counted on a listed frequency",
)
ADDRESS = BroadcastRule(
    id="FM-ADDRESS",
    observed="A street address with its number, or a web address, in the station name or RadioText",
    family=BroadcastFamily.STATION_IDENTITY,
    is_accusing=False,
    weight=0.7,
    weight_basis="choice: ln 2 for an unlisted carrier; it leads to whom the broadcast serves",
    source="broadcast sales of medicine name a shop; regulators' case notes",
    false_positives="A licensed station's own address: never counted on a listed frequency",
)
SCHEDULE = BroadcastRule(
    id="FM-SCHEDULE",
    observed="An unlisted carrier keeps hours, learned over fm.schedule_claim_min_h of watching",
    family=BroadcastFamily.TIMING,
    is_accusing=False,
    weight=1.0,
    weight_basis="choice: says when a patrol finds it, not what it is",
    source="Jiayuguan 2016: 72 h of fixed monitoring; on 20:30, off 07:30 every day",
    false_positives="A licensed station missing in the list",
)
AERO_AUDIO = BroadcastRule(
    id="AERO-AUDIO",
    observed="A carrier of 108 to 137 MHz carries the programme of an FM station",
    family=BroadcastFamily.AVIATION,
    is_accusing=True,
    weight=6.9,
    weight_basis="choice: speech and music of a broadcast have no business there",
    source="ITU-R SM.1009 type A1; scenario format section 4.2",
    false_positives="Intermodulation in our own receiver, which the values name",
)
AERO_CARRIER = BroadcastRule(
    id="AERO-CARRIER",
    observed="A carrier of 108 to 137 MHz; its audio was not heard or is no FM station's",
    family=BroadcastFamily.AVIATION,
    is_accusing=False,
    weight=0.0,
    weight_basis="ordinary air traffic, beacons and ATIS look the same in a sweep",
    source="recorded sweeps",
    false_positives="Every tower, beacon and ATIS",
)

BROADCAST_RULES: tuple[BroadcastRule, ...] = (
    AERO_AUDIO,
    AERO_CARRIER,
    UNLISTED,
    OFF_RASTER,
    HIJACK_PI,
    HIJACK_AUDIO,
    HIJACK_BEARING,
    HIJACK_HOURS,
    LEVEL,
    LEVEL_STEP,
    FIX,
    TWIN,
    PI_UNKNOWN,
    PHONE_NUMBER,
    ADDRESS,
    SCHEDULE,
    CARRIER,
)
"""Every rule, in the order in which a detection lists its reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastFinding:
    """A rule that fired on one carrier."""

    rule: BroadcastRule
    values: Values


def score(findings: Sequence[BroadcastFinding]) -> float:
    """Sum of the weights, each family capped at FAMILY_CAP."""
    total = 0.0
    for family in BroadcastFamily:
        total += min(FAMILY_CAP, sum(f.rule.weight for f in findings if f.rule.family is family))
    return round(total, 3)
