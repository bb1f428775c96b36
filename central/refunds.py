"""Refunds of held money to victims: direct, by time, or pro rata; exact to the fen.

银监发〔2016〕41号: direct where a single transfer, or the time of it, shows whose money it is; else
by loss over all losses, after 30 days' notice (:mod:`central.clocks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from contract.clock import UnixMicros


class Method(StrEnum):
    """How the shares were found."""

    DIRECT = "direct"
    BY_TIME = "by_time"
    PRO_RATA = "pro_rata"


@dataclass(frozen=True, slots=True)
class Claim:
    """One victim's proved loss on the account, and when it arrived."""

    victim: str
    loss_fen: int
    at: UnixMicros

    def __post_init__(self) -> None:
        if self.loss_fen <= 0:
            raise ValueError(f"the loss of {self.victim} is not positive")


@dataclass(frozen=True, slots=True)
class Refund:
    """Shares of one account; ``left_fen`` belongs to nobody who claimed."""

    method: Method
    shares: tuple[tuple[str, int], ...]
    left_fen: int

    @property
    def needs_notice(self) -> bool:
        """Whether 30 days' notice comes first."""
        return self.method is Method.PRO_RATA


def refund(held_fen: int, claims: Sequence[Claim], *, traced: bool = False) -> Refund:
    """Share held money out; nobody gets more than the loss, and the shares add up exactly.

    ``traced``: the times of the transfers show whose money is left. What came last is then what is
    still there, because what came before was spent first.
    """
    if held_fen < 0:
        raise ValueError("held money is not negative")
    names = [claim.victim for claim in claims]
    if len(set(names)) != len(names):
        raise ValueError("a victim claims once for an account: add the losses up")
    total = sum(claim.loss_fen for claim in claims)
    if len(claims) <= 1 or total <= held_fen:
        shares = [(c.victim, min(c.loss_fen, held_fen)) for c in claims]
        return _refund(Method.DIRECT, shares, held_fen)
    if traced:
        return _refund(Method.BY_TIME, _by_time(held_fen, claims), held_fen)
    return _refund(Method.PRO_RATA, _pro_rata(held_fen, claims, total), held_fen)


def _by_time(held_fen: int, claims: Sequence[Claim]) -> list[tuple[str, int]]:
    left, shares = held_fen, dict.fromkeys((c.victim for c in claims), 0)
    for claim in sorted(claims, key=lambda c: (c.at, c.victim), reverse=True):
        shares[claim.victim] = min(claim.loss_fen, left)
        left -= shares[claim.victim]
    return list(shares.items())


def _pro_rata(held_fen: int, claims: Sequence[Claim], total: int) -> list[tuple[str, int]]:
    """Floor each share; the fen that remain go to the greatest remainders, ties by name."""
    floors = {c.victim: held_fen * c.loss_fen // total for c in claims}
    rest = held_fen - sum(floors.values())
    by_remainder = sorted(claims, key=lambda c: (-(held_fen * c.loss_fen % total), c.victim))
    for claim in by_remainder[:rest]:
        floors[claim.victim] += 1
    return list(floors.items())


def _refund(method: Method, shares: list[tuple[str, int]], held_fen: int) -> Refund:
    return Refund(method, tuple(shares), held_fen - sum(amount for _, amount in shares))
