"""The desk behind ``qianshao assertion serve``: the real engine, a public-domain portrait."""

from __future__ import annotations

from pathlib import Path

from atm_face.engines.interface import EngineError, FaceEngine, Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import template_of
from atm_face.factor import FaceFactor
from atm_face.images import decode_image
from atm_face.policy import ListMode
from atm_face.rotation import Rotation
from atm_face.simulated import made_up_template
from atm_face.templates import KEY_BYTES, Reference
from contract.accounts import card_ref
from contract.clock import SystemClock
from contract.keyfiles import evidence_signer
from contract.keys import public_pem
from edge_agent.atm.assertions import AccountState, AssertionDesk
from edge_agent.atm.examiner import Examiner
from edge_agent.atm.stage import CONSENT
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
    enrolled = template_of(engine, decode_image(portraits.portrait(), "enrolment"))
    if not isinstance(enrolled, Template):
        raise EngineError("the portrait shows no face")
    owner: Template = enrolled
    others = {card_ref(pan, tenant_key).hmac: pan for pan in strangers}
    camera = SimulatedCamera(
        (portraits.portrait_jpeg(),),
        clock=clock,
        turns={
            ChallengeKind.TURN_LEFT: [portraits.turned(20), portraits.turned(55)],
            ChallengeKind.TURN_RIGHT: [portraits.turned(-20), portraits.turned(-55)],
        },
    )

    class References:
        """Everybody's reference: the portrait, or a made-up person."""

        def fetch(self, card: bytes, engine: FaceEngine) -> Reference:
            """Return the reference of a card."""
            template = made_up_template(engine, others[card]) if card in others else owner
            rotation = Rotation(bytes(KEY_BYTES), len(template.vector))
            return Reference(template=rotation.turn(template), consent=CONSENT, rotation=rotation)

    signer = evidence_signer(folder / "evidence.key.pem")
    desk = AssertionDesk(
        device=device,
        tenant=tenant,
        terminal=terminal,
        tenant_key=tenant_key,
        signer=signer,
        examiner=Examiner(FaceFactor(engine, References(), camera, clock=clock)),
        clock=clock,
        state_of=lambda card: AccountState(list_mode=ListMode.ONLINE),
    )
    return desk, public_pem(signer.public)
