"""The door for alarms that come through the broker: signed by a device that may send them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from central.actor import Actor
from central.alert_work import sql_of
from central.intake.alarm import Problem, Wrong
from central.intake.box import BoxError, intake_key, open_alarm, public_bytes
from central.intake.desk import IntakeWork
from central.orders.sealed import Vault
from central.store.interface import Event
from contract.messages import AlarmReport

SEALED_KEY = "sealed.key"
INTAKE_KEY = "intake.key.pem"
VIA = "mqtt"


class AlarmDoor:
    """Opens what named devices hand over, in the transaction that stores their message."""

    def __init__(self, vault: Vault, key: X25519PrivateKey, senders: frozenset[str]) -> None:
        self.vault = vault
        self._key = key
        self._senders = senders

    @classmethod
    def at(cls, folder: Path, senders: frozenset[str]) -> AlarmDoor:
        """Read the keys of a central's folder, or make them."""
        return cls(Vault.at(folder / SEALED_KEY), intake_key(folder / INTAKE_KEY), senders)

    @property
    def public(self) -> bytes:
        """Key to which senders seal."""
        return public_bytes(self._key)

    def take(
        self, tx: Any, now: int, device: str, area: str, report: AlarmReport
    ) -> Sequence[Event]:
        """Open a case, or keep why not: the message is stored either way, the alarm may not be.

        Who is not named in ``[intake] senders`` opens nothing.
        """
        actor = Actor(device, frozenset(), frozenset({area or "000000"}))
        work = IntakeWork(sql_of(tx), now, self.vault)
        number = report.number[:64]
        if device not in self._senders:
            work.refuse(actor, VIA, number, [Problem("sender", Wrong.UNKNOWN)])
            return ()
        try:
            document = open_alarm(self._key, report.box)
        except BoxError:
            work.refuse(actor, VIA, number, [Problem("box", Wrong.NO_BOX)])
            return ()
        work.take(actor, document, VIA)
        return work.clocks.events
