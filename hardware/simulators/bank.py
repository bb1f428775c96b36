"""A simulated bank: what it posted, what it took back, and how its answers go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hardware.atm.interface import (
    Advice,
    AdviceKind,
    CardSecrets,
    HostAnswer,
    HostSilentError,
    Trace,
)


class ReplyFault(StrEnum):
    """What is wrong with the answer to a request."""

    NONE = "none"
    SILENT_UNPOSTED = "silent_unposted"
    """The request never reached the books."""
    SILENT_POSTED = "silent_posted"
    """It was posted; the answer was lost or comes too late."""
    WRONG_MAC = "wrong_mac"
    WRONG_STAN = "wrong_stan"
    WRONG_TERMINAL = "wrong_terminal"
    WRONG_AMOUNT = "wrong_amount"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankFaults:
    """How this bank behaves; by default it approves, in time, for good."""

    code: str = "00"
    reply: ReplyFault = ReplyFault.NONE
    posts_anyway: bool = False
    """The books hold the withdrawal although the answer says otherwise: a forged answer."""
    lost_advices: int = 0
    """So many advices are done without an answer being heard."""
    refused_advices: int = 0
    """So many advices are answered 96: asked again later."""


class SimulatedBank:
    """Books by STAN; ``on_done`` is called when the books have changed, before the answer."""

    def __init__(
        self,
        faults: BankFaults,
        on_done: Callable[[str], None],
        wait: Callable[[int], None] = lambda microseconds: None,
    ) -> None:
        """``wait`` lets the clock run, for answers that come too late."""
        self._faults = faults
        self._on_done = on_done
        self._wait = wait
        self.asked_fen: dict[str, int] = {}
        self.posted_fen: dict[str, int] = {}
        self.reversed: set[str] = set()
        self.advices: list[Advice] = []
        self.codes: list[str] = []
        self._lost = faults.lost_advices
        self._refused = faults.refused_advices

    def request(self, trace: Trace, secrets: CardSecrets) -> HostAnswer:
        """Post if the code says so, then answer, rightly or not."""
        fault, code = self._faults.reply, self._faults.code
        self.asked_fen[trace.stan] = trace.amount_fen
        is_posted = code == "00" or self._faults.posts_anyway
        if is_posted and fault is not ReplyFault.SILENT_UNPOSTED:
            if trace.original is None:
                self.posted_fen[trace.stan] = trace.amount_fen
            else:
                self._take_back(trace.original.stan, 0)
        self._on_done("request")
        if fault in {ReplyFault.SILENT_UNPOSTED, ReplyFault.SILENT_POSTED}:
            raise HostSilentError("no answer in time")
        if fault is ReplyFault.STALE:
            self._wait(3_600_000_000)
        wrong_amount = trace.amount_fen - 10_000
        return HostAnswer(
            code=code,
            is_authentic=fault is not ReplyFault.WRONG_MAC,
            stan="999999" if fault is ReplyFault.WRONG_STAN else trace.stan,
            terminal="ATM99999" if fault is ReplyFault.WRONG_TERMINAL else trace.terminal,
            amount_fen=wrong_amount if fault is ReplyFault.WRONG_AMOUNT else trace.amount_fen,
            token="TOKEN",  # noqa: S106 - the machine does not read it
        )

    def behave(self, code: str) -> None:
        """From now on requests are answered faultlessly with this code."""
        self._faults = BankFaults(code=code)

    def advise(self, advice: Advice) -> str:
        """Correct the books; a repeat changes nothing more."""
        self.advices.append(advice)
        if self._refused:
            self._refused -= 1
            self._on_done("advice")
            return "96"
        code = self._book(advice)
        self.codes.append(code)
        self._on_done("advice")
        if self._lost:
            self._lost -= 1
            raise HostSilentError("no answer in time")
        return code

    def _book(self, advice: Advice) -> str:
        stan = (advice.trace.original or advice.trace).stan
        if stan not in self.posted_fen:
            return "25"
        if stan in self.reversed:
            return "94"
        if advice.kind is not AdviceKind.CONFIRMATION:
            self._take_back(stan, advice.actual_fen)
        return "00"

    def _take_back(self, stan: str, actual_fen: int) -> None:
        self.reversed.add(stan)
        self.posted_fen[stan] = actual_fen

    def echo(self) -> bool:
        """Network message."""
        return True
