"""The desk where every message of the agent is handed over: durable first, then told."""

from __future__ import annotations

import asyncio

import structlog

from contract.codec import Values
from contract.messages import Body, Detection, WithdrawalDecision, type_of
from contract.topics import Lane
from contract.words import PartState
from edge_agent.health import HealthBook
from edge_agent.outbox import Outbox, OutboxError

_LANES: dict[str, Lane] = {
    "detection": Lane.EVIDENCE,
    "withdrawal_decision": Lane.DECISIONS,
    "machine_alarm": Lane.DECISIONS,
    "health": Lane.HEALTH,
    "crew_report": Lane.DECISIONS,
    "visit_link_report": Lane.DECISIONS,
}

RETRY_S = 1.0
"""How long evidence waits between two tries while the outbox is full."""

log = structlog.get_logger("agent")


class Desk:
    """Puts bodies into the outbox on their lane and says in the log what became of them."""

    def __init__(self, outbox: Outbox, book: HealthBook) -> None:
        self._outbox = outbox
        self._book = book

    async def send(self, body: Body) -> bool:
        """Wait until the message is durable; False (logged, in health) when the outbox refused."""
        kind = type_of(body)
        try:
            enqueued = await asyncio.wrap_future(self._outbox.put(body, _LANES[kind]))
        except OutboxError as error:
            self._book.report("outbox", PartState.FAILED, str(error))
            log.warning("message_refused", type=kind, problem=str(error))
            return False
        if kind != "health":
            log.info(
                f"{kind}_enqueued", seq=enqueued.seq, is_known=enqueued.is_known, **_facts(body)
            )
        return True

    async def send_evidence(self, body: Body) -> None:
        """Try until the outbox takes it: meanwhile the sniffer waits and its port counts."""
        is_taken = await self.send(body)
        while not is_taken:
            await asyncio.sleep(RETRY_S)
            is_taken = await self.send(body)


def _facts(body: Body) -> Values:
    """What the log may say of a message: no card, no picture, no identity of a subscriber."""
    if isinstance(body, Detection):
        return {
            "sensor": body.sensor,
            "level": body.level.value,
            "alert": body.alert.value if body.alert else "",
            "rules": ", ".join(reason.rule for reason in body.reasons),
            "revision": body.revision,
            "source": body.source.file,
        }
    if isinstance(body, WithdrawalDecision):
        return {
            "visit": body.visit,
            "decision": body.decision.value,
            "reason": body.reason.value if body.reason else "",
            "is_simulated": body.face.is_simulated if body.face else False,
        }
    return {}
