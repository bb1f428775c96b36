"""A Biometric service of the machine (XFS4IoT): one scan, compared with one reference there.

What it says is a confidence between 0 and 100 on a scale of its maker's own, and nothing about
liveness. So it never is the face factor here (cash needs at least a challenge); it may stand
beside it, and what it holds is cleared at the end of every visit.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hardware.atm.interface import DeviceLostError
from hardware.atm.xfs4iot import Dialect, Payload
from hardware.atm.xfs_client import XfsClient

FORMAT: Final = "reservedTemplate1"
"""The maker's own template: the standard's other formats are fingerprints and signatures."""
NOT_ENCRYPTED: Final = "ecb"
"""2021-1 demands an algorithm of every type; without a key name nothing is encrypted."""


class Cleared(StrEnum):
    """What a service forgets."""

    SCANNED = "scannedData"
    IMPORTED = "importedData"
    MATCH = "setMatchedData"


class BiometricError(Exception):
    """The service refused; ``code`` is its own word."""

    def __init__(self, code: str) -> None:
        super().__init__(f"biometric service: {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the service is, 0 to 100; not a probability, and not comparable between makers."""

    level: int


def data_type(dialect: Dialect) -> Payload:
    """Return the type of our template, as the dialect wants it."""
    if dialect is Dialect.D2021_1:
        return {"format": FORMAT, "algorithm": NOT_ENCRYPTED}
    return {"format": FORMAT}


def import_payload(template: bytes, dialect: Dialect) -> Payload:
    """Hand a reference over."""
    one = {"type": data_type(dialect), "data": base64.b64encode(template).decode("ascii")}
    payload: Payload = {"templates": [one]}
    if dialect is Dialect.D2021_1:
        payload["dataList"] = [one]  # its schema demands the older name beside the newer
    return payload


def read_payload(dialect: Dialect) -> Payload:
    """Take one scan for a comparison; nothing of it comes back."""
    payload: Payload = {"dataTypes": [data_type(dialect)], "numCaptures": 1, "mode": "match"}
    if dialect is Dialect.D2021_1:
        payload["type"] = data_type(dialect)
    return payload


def match_payload(identifier: str, threshold: int) -> Payload:
    """Compare the scan with one reference."""
    return {
        "compareMode": "verify",
        "identifier": identifier,
        "maximum": 1,
        "threshold": threshold,
    }


class XfsBiometric:
    """One Biometric service; every call may raise DeviceLostError or BiometricError."""

    def __init__(self, client: XfsClient) -> None:
        self._client = client

    def import_template(self, template: bytes) -> str:
        """Hand a reference over for this visit; returns the service's name for it."""
        payload = self._ask("Biometric.Import", import_payload(template, self._client.dialect))
        names = payload.get("templates")
        if not isinstance(names, dict) or len(names) != 1:
            raise BiometricError("no single identifier")
        return str(next(iter(names)))

    def read(self) -> None:
        """Scan who stands there; the data stays in the service."""
        self._ask("Biometric.Read", read_payload(self._client.dialect))

    def match(self, identifier: str, threshold: int = 0) -> Confidence | None:
        """Compare the scan with a reference; None: below the threshold."""
        payload = self._ask("Biometric.Match", match_payload(identifier, threshold))
        found = payload.get("candidates")
        if not isinstance(found, dict):
            raise BiometricError("no candidates")
        one = found.get(identifier)
        if one is None:
            return None
        level = one.get("confidenceLevel") if isinstance(one, dict) else None
        if not isinstance(level, int) or isinstance(level, bool) or not 0 <= level <= 100:
            raise BiometricError("no confidenceLevel between 0 and 100")
        return Confidence(level) if level >= threshold else None

    def clear(self) -> None:
        """Have everything of this visit forgotten."""
        self._ask("Biometric.SetDataPersistence", {"persistenceMode": "clear"})
        for what in (Cleared.SCANNED, Cleared.IMPORTED):
            self._ask("Biometric.Clear", {"clearData": what.value})

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _ask(self, name: str, payload: Payload) -> Payload:
        done = self._client.ask(name, payload)
        if done.completion_code == "success":
            return done.payload
        if done.completion_code == "commandErrorCode":
            raise BiometricError(done.error_code or "commandErrorCode")
        raise DeviceLostError(f"{name}: {done.completion_code}")
