"""The ATM's own share of a decision: face, challenge, list of ten million accounts, table.

Targets, not peers: 400 ms at the 95th percentile for the whole, 1 ms for the policy with the list.
"""

from __future__ import annotations

import datetime as dt
import random
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from atm_face.engines.interface import Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import template_of
from atm_face.images import decode_image
from atm_face.policy import ListMode, Policy, decide
from atm_face.sanctions import holds_of
from atm_face.visit import Examination, examine, open_session
from contract.account_list import AccountList, Listed, ListedFor, ListManifest, build_list
from contract.clock import SystemClock
from contract.words import Pad, PinVerdict
from edge_agent.atm.assertions import AccountState
from hardware.cameras.interface import ChallengeKind
from hardware.simulators import portraits
from hardware.simulators.camera import SimulatedCamera

ACCOUNTS: Final = 10_000_000
DECISIONS: Final = 40
LOOK_UPS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds at the 95th percentile."""

    decision_p95_ms: float
    policy_p95_ms: float


def measure(accounts: int = ACCOUNTS, decisions: int = DECISIONS) -> Figures:
    """Decide over and over with a mapped list; each decision looks at all its pictures anew."""
    with tempfile.TemporaryDirectory() as folder:
        listed = _list(Path(folder), accounts)
        try:
            policy_ms = [_timed(lambda n=n: _judge(listed, n)) for n in range(LOOK_UPS)]
            face = _face()
            whole_ms = []
            for number in range(decisions):
                began = time.perf_counter()
                _judge(listed, number, next(face))
                whole_ms.append((time.perf_counter() - began) * 1000)
        finally:
            listed.close()
    return Figures(_p95(whole_ms), _p95(policy_ms))


def _timed(work: object) -> float:
    assert callable(work)
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _key(number: int) -> bytes:
    """A key in sorted order, spread evenly: what looking up costs does not depend on the hash."""
    return struct.pack(">QI", number * (2**64 // ACCOUNTS), 0)


def _list(folder: Path, accounts: int) -> AccountList:
    path = folder / "accounts"
    stop = Listed(ListedFor.STOP)
    digest = build_list(path, 1, ((_key(n), stop) for n in range(accounts)))
    made_at = SystemClock().wall()
    return AccountList(
        path, ListManifest(version=1, count=accounts, sha256=digest, made_at=made_at)
    )


def _judge(listed: AccountList, number: int, seen: Examination | None = None) -> None:
    """Look an account up, here a stranger to the list, and run the table to its end."""
    account = random.Random(number).randbytes(32)  # noqa: S311
    holds = holds_of(listed.find(account), dt.date(2026, 11, 25))
    state = AccountState(holds=holds, list_mode=ListMode.ONLINE)
    visit = replace(
        state.visit(),
        pin=PinVerdict.OK,
        is_enrolled=True,
        pad=seen.evidence.pad if seen is not None and seen.evidence else Pad.CHALLENGE,
        is_live=True if seen is None else seen.is_live,
        is_match=True if seen is None else seen.is_match,
    )
    assert decide(visit, Policy()).reason is None


def _face() -> Iterator[Examination]:
    """Examine the portrait who turns the head as asked, as the agent does."""
    clock, engine = SystemClock(), SFaceEngine()
    reference = template_of(engine, decode_image(portraits.portrait(), "enrolment"))
    assert isinstance(reference, Template)
    camera = SimulatedCamera(
        (portraits.portrait_jpeg(),),
        clock=clock,
        turns={
            ChallengeKind.TURN_LEFT: [portraits.turned(55)],
            ChallengeKind.TURN_RIGHT: [portraits.turned(-55)],
        },
    )
    while True:
        session = open_session(clock.wall(), challenges=camera.challenges)
        frame = camera.capture(session.nonce)
        answer = camera.challenge(session.challenge, session.nonce)
        yield examine(engine, reference, [frame], answer, session=session, now_us=clock.wall())
