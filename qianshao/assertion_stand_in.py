"""The desk behind ``qianshao assertion serve``: the real engine, a public-domain portrait."""

from __future__ import annotations

from pathlib import Path

from atm_face.engines.interface import EngineError, Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import template_of
from atm_face.images import decode_image
from atm_face.policy import ListMode
from atm_face.simulated import made_up_template
from contract.accounts import CardRef, card_ref
from contract.clock import SystemClock
from contract.keyfiles import evidence_signer
from contract.keys import public_pem
from edge_agent.atm.assertions import AccountState, AssertionDesk
from edge_agent.atm.examiner import Examiner
from hardware.cameras.interface import ChallengeKind
from hardware.simulators import portraits
from hardware.simulators.camera import SimulatedCamera


def stand_in_desk(
    *,
    folder: Path,
    device: str,
    tenant: str,
    terminal: str,
    tenant_key: bytes,
    strangers: frozenset[str],
) -> tuple[AssertionDesk, str]:
    """Return a desk whose every customer is the one portrait, and its public key.

    Cards in ``strangers`` belong to a made-up person: their owner is never at the camera.
    """
    clock = SystemClock()
    engine = SFaceEngine()
    owner = template_of(engine, decode_image(portraits.portrait(), "enrolment"))
    if not isinstance(owner, Template):
        raise EngineError("the portrait shows no face")
    others = {card_ref(pan, tenant_key).hmac: pan for pan in strangers}
    camera = SimulatedCamera(
        (portraits.portrait_jpeg(),),
        clock=clock,
        turns={
            ChallengeKind.TURN_LEFT: [portraits.turned(20), portraits.turned(45)],
            ChallengeKind.TURN_RIGHT: [portraits.turned(-20), portraits.turned(-45)],
        },
    )

    def reference_of(card: CardRef) -> Template:
        return made_up_template(engine, others[card.hmac]) if card.hmac in others else owner

    signer = evidence_signer(folder / "evidence.key.pem")
    desk = AssertionDesk(
        device=device,
        tenant=tenant,
        terminal=terminal,
        tenant_key=tenant_key,
        signer=signer,
        examiner=Examiner(
            engine, camera_for=lambda card: camera, reference_of=reference_of, clock=clock
        ),
        clock=clock,
        state_of=lambda card: AccountState(list_mode=ListMode.ONLINE),
    )
    return desk, public_pem(signer.public)
