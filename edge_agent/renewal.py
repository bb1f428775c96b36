"""The agent's own certificate: looked at now and then, renewed after two thirds of its life.

The former certificate stays valid until its own end, and the open connection is not touched: the
next one shows the new papers.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable

import structlog
from cryptography import x509

from contract.clock import Clock, UnixMicros
from contract.enrolment import EnrolmentError
from contract.words import PartState
from edge_agent.config import AgentConfig
from edge_agent.enrolment import CentralUnreachableError, rotate
from edge_agent.health import HealthBook
from edge_agent.identity import Identity, IdentityError, load_certificate

PART = "identity"
RENEW_AFTER = 2 / 3
LOOK_S = 60.0
RETRY_MIN_S, RETRY_MAX_S = 60.0, 3600.0
"""A central that is away is asked again after so long, at random, so that a fleet spreads out."""

log = structlog.get_logger("identity")


def renewal_due_at(certificate: x509.Certificate) -> dt.datetime:
    """Return when two thirds of a certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * RENEW_AFTER


class Renewal:
    """Keeps one agent's certificate fresh; says in health how long it still lives."""

    def __init__(
        self,
        config: AgentConfig,
        identity: Identity,
        *,
        clock: Clock,
        book: HealthBook,
        now: Callable[[], UnixMicros] | None = None,
        look_s: float = LOOK_S,
        retry_s: Callable[[], float] = lambda: random.uniform(RETRY_MIN_S, RETRY_MAX_S),  # noqa: S311
    ) -> None:
        self._config = config
        self._identity = identity
        self._now = now or clock.wall
        self._book = book
        self._look_s = look_s
        self._retry_s = retry_s
        self._renewed = 0

    async def run(self) -> None:
        """Look for ever; a renewal that fails is tried again and never stops anything else."""
        while True:
            is_well = await self.look()
            await asyncio.sleep(self._look_s if is_well else self._retry_s())

    async def look(self) -> bool:
        """Renew if it is due; False if that was tried in vain."""
        tls = self._config.broker.tls
        if tls is None:
            self._book.report(PART, PartState.OK, "no certificate: the broker is in the clear")
            return True
        try:
            certificate = load_certificate(tls.certificate)
        except IdentityError as error:
            self._book.report(PART, PartState.FAILED, str(error))
            return False
        if self._time() < renewal_due_at(certificate):
            self._report(certificate)
            return True
        try:
            certificate = await asyncio.to_thread(rotate, self._config, self._identity)
        except (EnrolmentError, IdentityError, OSError, ValueError) as error:
            self._report(certificate, f"it cannot be renewed: {error}")
            if not isinstance(error, CentralUnreachableError):
                log.warning("renewal_refused", problem=str(error))
            return False
        self._renewed += 1
        log.info("certificate_renewed", until=f"{certificate.not_valid_after_utc:%Y-%m-%d}")
        self._report(certificate)
        return True

    def _time(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._now() / 1e6, dt.UTC)

    def _report(self, certificate: x509.Certificate, problem: str = "") -> None:
        left = certificate.not_valid_after_utc - self._time()
        if left < dt.timedelta():
            word = f"the certificate expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%MZ}"
            state, problem = PartState.FAILED, "; ".join(filter(None, (word, problem)))
        else:
            state = PartState.DEGRADED if problem else PartState.OK
        self._book.report(
            PART,
            state,
            problem[:300],
            {"certificate_hours_left": int(left.total_seconds() // 3600), "renewed": self._renewed},
        )
