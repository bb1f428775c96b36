"""Whether a stored message is still what was taken: its hash, its signature, its place."""

from __future__ import annotations

from dataclasses import dataclass

from central.store.interface import Message, Store
from contract import EnvelopeError, open_envelope
from contract.envelope import message_digest


@dataclass(frozen=True, slots=True)
class Check:
    """Outcome of a fresh look at the stored bytes; ``problem`` is empty if they are intact."""

    problem: str = ""

    @property
    def is_intact(self) -> bool:
        """True: hash, signature and place all hold."""
        return not self.problem


def check_message(store: Store, message: Message, tenant: str) -> Check:
    """Verify a stored message anew, with the key that signed it (revoked since or not)."""
    if message_digest(message.cose) != message.digest:
        return Check("the bytes do not have the digest under which they were stored")
    try:
        envelope = open_envelope(message.cose, tenant=tenant, find_key=store.known_key)
    except EnvelopeError as error:
        return Check(str(error))
    if (envelope.payload.device, envelope.payload.seq) != (message.device, message.seq):
        return Check("the bytes belong to another place in the store")
    return Check()
