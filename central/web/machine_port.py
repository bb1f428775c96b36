"""Who asks at the port of machines: an enrolled ATM that shows its certificate, or nobody."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

from cryptography import x509
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from central.store.interface import StoreUnavailableError
from central.store.sql import SqlStore
from contract.words import DeviceKind

_PEER = "peer"
"""Where a request's state holds the certificate (DER) that its connection showed."""


class PeerProtocol(H11Protocol):
    """HTTP/1.1 whose requests know the certificate of their connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look at the handshake once, for every request of the connection."""
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = None if tls is None else tls.getpeercert(binary_form=True)
        self.app_state = {**self.app_state, _PEER: shown}


def machine_of(request: Request, store: SqlStore) -> str | Response:
    """Name of the enrolled machine that asks, or the refusal.

    One that was revoked since is refused, whatever its certificate still says.
    """
    shown: bytes | None = getattr(request.state, _PEER, None)
    if shown is None:
        return problem(401, "a machine shows the certificate that it was enrolled with")
    serial = f"{x509.load_der_x509_certificate(shown).serial_number:x}"
    try:
        issued = store.certificate(serial)
        device = None if issued is None else store.device(issued.device)
    except StoreUnavailableError as error:
        return problem(503, error.problem)
    if issued is None or issued.revoked_at is not None:
        return problem(403, "this certificate is not known, or was revoked")
    if device is None or device.revoked_at is not None or device.kind is not DeviceKind.ATM:
        return problem(403, "this is for enrolled machines")
    return device.device


def problem(status: int, words: str) -> Response:
    """Return a refusal in the words that machines log."""
    body: dict[str, Any] = {"problem": words}
    return Response(json.dumps(body), status_code=status, media_type="application/json")
