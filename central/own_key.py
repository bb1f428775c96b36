"""The key with which the central signs receipts, deliveries and baselines."""

from __future__ import annotations

from central.config import CentralSettings
from contract.keyfiles import evidence_signer
from contract.keys import KeySigner


def central_signer(settings: CentralSettings) -> KeySigner:
    """Return the key that signs receipts, born here on first use."""
    return evidence_signer(settings.folder / "evidence.key.pem")
