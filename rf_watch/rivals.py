"""Innocent explanations of what the rules for cells observe, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence

from contract.messages import Rival
from contract.words import RivalVerdict
from rf_watch.rules import Finding, Strength
from rf_watch.sightings import Clash, Recent

_DECODE_ERROR = "DECODE_ERROR"
_RETUNE = "OPERATOR_RETUNE"


def _verdict(is_ruled_out: bool) -> RivalVerdict:
    return RivalVerdict.RULED_OUT if is_ruled_out else RivalVerdict.POSSIBLE


def decode_error(findings: Sequence[Finding], misreads_min: int) -> Rival:
    """A record misread on the way: ruled out once several would have to be wrong together."""
    hard = [f.misreads for f in findings if f.rule.strength is Strength.HARD_CRITICAL]
    needed = sum(hard) if hard else min(f.misreads for f in findings)
    return Rival(
        explanation=_DECODE_ERROR,
        verdict=_verdict(needed >= misreads_min),
        values={"misreads_needed": needed},
    )


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
