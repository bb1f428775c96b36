"""The ATM agent's visits: card, keypad verdict, camera and policy to one signed decision each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from atm_face.factor import FaceFactor
from atm_face.policy import Policy, Visit, decide, list_mode
from contract.accounts import CardRef
from contract.clock import Clock
from contract.files import replace_durably
from contract.messages import WithdrawalDecision
from contract.words import Decision, DecisionReason, Pad, PartState
from edge_agent.atm.booth import Booth
from edge_agent.atm.script import ScriptedVisit, VisitScript
from edge_agent.desk import Desk
from edge_agent.health import HealthBook

log = structlog.get_logger("atm")


class VisitNumbers:
    """Numbers of visits that are never given out twice, whatever dies in between."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._last = self._read()

    @property
    def last(self) -> int:
        """The newest number that was given out; 0: none."""
        return self._last

    def next(self) -> int:
        """Give out a number; it is on disk before the visit begins."""
        self._last += 1
        replace_durably(self._file, str(self._last).encode())
        return self._last

    def _read(self) -> int:
        try:
            return int(self._file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:
            log.warning("visit_number_lost", file=self._file.name)
            return self._clock.wall() // 1_000_000  # later than any number given out before


class AtmCounter:
    """Plays the scripted visits through the real face engine and the real policy."""

    def __init__(
        self,
        booth: Booth,
        *,
        state_dir: Path,
        clock: Clock,
        desk: Desk,
        book: HealthBook,
        hold_on: Callable[[CardRef], DecisionReason | None] = lambda card: None,
    ) -> None:
        """``hold_on`` says whether an order holds an account now."""
        self._booth = booth
        self._hold_on = hold_on
        self._clock = clock
        self._desk = desk
        self._book = book
        self._policy = Policy()
        self._visit_file = state_dir / "last_visit"
        book.register("visits")

    async def run(self) -> None:
        """Serve customers until the agent stops."""
        factor = await asyncio.to_thread(self._booth.load)
        script = self._booth.script
        if factor is None or script is None:
            return
        numbers = VisitNumbers(self._visit_file, self._clock)
        while True:
            number = numbers.next()
            scripted = script.visits[(number - 1) % len(script.visits)]
            decision = await asyncio.to_thread(self._serve, factor, script, scripted, str(number))
            is_durable = await self._desk.send(decision)
            self._book.count("visits", decision.decision.value.lower())
            state = PartState.OK if is_durable else PartState.FAILED
            self._book.report("visits", state, "scripted customers, simulated camera and keypad")
            await asyncio.sleep(script.pause_s)

    def _serve(
        self, factor: FaceFactor, script: VisitScript, scripted: ScriptedVisit, number: str
    ) -> WithdrawalDecision:
        """Run one visit to its decision; blocking, off the event loop."""
        started = self._clock.wall()
        card = self._booth.keys.ref(scripted.pan)
        face = self._booth.check(factor, card, scripted)
        seen, hold = face.examination, self._hold_on(card)
        visit = Visit(
            has_stop=hold is DecisionReason.STOP_PAYMENT,
            has_freeze=hold is DecisionReason.FROZEN,
            business=scripted.business,
            pin=scripted.pin,
            is_enrolled=face.is_enrolled,
            is_face_covered=seen.is_face_covered,
            pad=seen.evidence.pad if seen.evidence else Pad.NONE,
            is_live=seen.is_live,
            is_match=seen.is_match,
            list_mode=list_mode(is_online=script.is_online, age_s=script.list_age_s),
        )
        verdict = decide(visit, self._policy)
        return WithdrawalDecision(
            visit=number,
            business=scripted.business.word,
            amount_fen=scripted.amount_fen,
            card=card,
            pin=scripted.pin,
            face=seen.evidence,
            decision=Decision(verdict.decision),
            reason=verdict.reason,
            policy_version=self._policy.version,
            started_at=started,
            decided_at=self._clock.wall(),
            many_cards=face.reached_cards,
        )
