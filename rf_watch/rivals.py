"""Innocent explanations of what the rules for cells observe, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence

from contract.messages import Rival
from contract.words import RivalVerdict
from hardware.readings import Rat
from rf_watch import rule_table as table
from rf_watch.context import CellContext
from rf_watch.emitters import Track
from rf_watch.rules import Finding, Strength
from rf_watch.sightings import Clash, Recent

_DECODE_ERROR = "DECODE_ERROR"
_RETUNE = "OPERATOR_RETUNE"
_RAILWAY_PLMN = "460-20"

_NEW_SITE_RULES = frozenset(
    {
        table.LAC_NOT_IN_PLAN.id,
        table.TAC_NOT_IN_PLAN.id,
        table.LAC_OUTSIDE_BASELINE.id,
        table.NO_NEIGHBOURS.id,
        table.CRO_EXTREME.id,
        table.UNUSUAL_CONSTANTS.id,
        table.PCI_ON_SEVERAL_EARFCN.id,
    }
)
_FEMTOCELL_RULES = frozenset(
    {table.NO_NEIGHBOURS.id, table.LAC_OUTSIDE_BASELINE.id, table.LONELY_CELL.id}
)
_NEVER_A_FEMTOCELL = frozenset(
    {table.LAC_CHANGES.id, table.CRO_EXTREME.id, table.T3212_SHORT.id, table.IDENTITY_CLASH.id}
)


def _verdict(is_ruled_out: bool) -> RivalVerdict:
    return RivalVerdict.RULED_OUT if is_ruled_out else RivalVerdict.POSSIBLE


def decode_error(findings: Sequence[Finding], misreads_min: int) -> Rival:
    """A record misread on the way: ruled out once several would have to be wrong together."""
    hard = [
        f.misreads
        for f in findings
        if f.rule.strength in {Strength.HARD_CRITICAL, Strength.HARD_HIGH}
    ]
    needed = sum(hard) if hard else min(f.misreads for f in findings)
    return Rival(
        explanation=_DECODE_ERROR,
        verdict=_verdict(needed >= misreads_min),
        values={"misreads_needed": needed},
    )


def of_finding(finding: Finding, track: Track, context: CellContext) -> list[Rival]:
    """What else the finding about an emitter could be."""
    rule, cell = finding.rule.id, track.last_cell()[1]
    found: list[Rival] = []
    if rule == table.IDENTITY_CLASH.id and cell.clash is not None:
        found += of_clash(cell.clash)
    if rule == table.LAC_CHANGES.id:
        found += of_lac_changes(cell.lacs, len(cell.physical_ids))
    if finding.rule.strength in {Strength.HARD_CRITICAL, Strength.HARD_HIGH}:
        found.append(foreign_network(track.key.plmn))
        if rule == table.GSM_PLMN_ARFCN_MISMATCH.id:
            found.append(_railway(track))
    if rule in _NEW_SITE_RULES:
        found += [_new_site(track, context), _drive_test_car(track, context)]
    if rule in _FEMTOCELL_RULES and track.key.rat is not Rat.NR:
        found.append(_femtocell(track))
    if rule == table.LONELY_CELL.id:
        found.append(_railway(track))
    return found


def foreign_network(plmn: str) -> Rival:
    """A network across the border: ruled out by the Chinese PLMN that is announced."""
    return Rival(
        explanation="FOREIGN_ROAMING_BORDER",
        verdict=RivalVerdict.RULED_OUT,
        values={"plmn": plmn},
    )


def of_clash(clash: Clash) -> list[Rival]:
    """Sharing twins are no clash; a retune happens once and does not swing back."""
    placements = len(clash.others) + 1
    return [
        Rival(
            explanation="RAN_SHARING_TWIN",
            verdict=RivalVerdict.RULED_OUT,
            values={"plmn": clash.identity.plmn, "placements": placements},
        ),
        _retune("placement", clash.returns, placements),
    ]


def of_lac_changes(lacs: Recent[int], physical_ids: int) -> list[Rival]:
    """Two cells with one ARFCN and CI have two BSIC; a re-homing happens once."""
    return [
        Rival(
            explanation="CI_REUSED_IN_OTHER_LAC",
            verdict=RivalVerdict.NOT_CHECKED if not physical_ids else _verdict(physical_ids == 1),
            values={"bsic_count": physical_ids},
        ),
        _retune("lac", lacs.returns, len(lacs.seen)),
    ]


def _retune(what: str, returns: int, count: int) -> Rival:
    return Rival(
        explanation=_RETUNE,
        verdict=_verdict(returns > 0 or count > 2),
        values={"property": what, "returns": returns, "value_count": count},
    )


def _new_site(track: Track, context: CellContext) -> Rival:
    """A site that went on the air lately would be in the plan: a plan row has no reasons at all."""
    rows = len(context.plan.network(track.key.rat, track.key.plmn))
    return Rival(
        explanation="NEW_LEGAL_SITE",
        verdict=RivalVerdict.RULED_OUT if rows else RivalVerdict.NOT_CHECKED,
        values={"plan_rows": rows},
    )


def _drive_test_car(track: Track, context: CellContext) -> Rival:
    if track.plate is not None:
        verdict, values = RivalVerdict.POSSIBLE, {"plate": track.plate}
        return Rival(explanation="REGISTERED_TEST_VEHICLE", verdict=verdict, values=dict(values))
    cars = len(context.register.rows)
    return Rival(
        explanation="REGISTERED_TEST_VEHICLE",
        verdict=RivalVerdict.RULED_OUT if cars else RivalVerdict.NOT_CHECKED,
        values={"registered_cars": cars},
    )


def _femtocell(track: Track) -> Rival:
    """A home cell may be lonely and list nobody, but it keeps its area and its timers."""
    others = sorted(_NEVER_A_FEMTOCELL & track.findings.keys())
    return Rival(
        explanation="FEMTOCELL",
        verdict=_verdict(bool(others)),
        values={"ruled_out_by": ",".join(others)},
    )


def _railway(track: Track) -> Rival:
    """GSM-R cells are few, far apart and on channels of their own."""
    return Rival(
        explanation="GSM_R",
        verdict=_verdict(track.key.plmn != _RAILWAY_PLMN),
        values={"plmn": track.key.plmn},
    )
