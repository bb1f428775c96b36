"""A small reference of the bank's template service.

Mutual TLS with the bank's own authority; the name in the client's certificate is the device, and
what it gets is sealed to the key on record for that name. A bank puts its own service here: the
exchange is :mod:`atm_face.delivery`, the statuses :mod:`atm_face.bank_templates`.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from atm_face.bank_templates import PATH, STATUS
from atm_face.delivery import Request, sealed_for
from atm_face.engines.interface import Template
from atm_face.templates import TemplateError, TemplateStore

MAX_BODY_BYTES = 4096
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for, in the shape that a store needs: only a name and a hash."""

    name: str
    model_sha256: bytes

    def compare(self, reference: Template, probe: Template) -> float:
        """A service compares nothing."""
        raise NotImplementedError


class TemplateService(ThreadingHTTPServer):
    """Serves one store. Logs device and status, never a card or a template."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext,
        store: TemplateStore,
        devices: Mapping[str, X25519PublicKey],
    ) -> None:
        """``tls`` must demand a client's certificate; ``devices``: key by certificate name."""
        if tls.verify_mode is not ssl.CERT_REQUIRED:
            raise ValueError("the template service needs mutual TLS")
        super().__init__(address, _Handler)
        self.store, self.devices, self.lock = store, devices, threading.Lock()
        self._tls = tls

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; the handshake runs in the connection's own thread."""
        raw, address = super().get_request()
        raw.settimeout(TIMEOUT_S)
        return self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line for a connection that failed: no certificate, or gone."""
        error = sys.exc_info()[1]
        print(f"template service: {client_address[0]}: {type(error).__name__}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    server: TemplateService

    def do_POST(self) -> None:
        """Answer one request."""
        device = _name(self.connection.getpeercert())
        status, body = self._answer(device)
        print(f"template service: {device or 'unknown'}: {status}", file=sys.stderr)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, device: str | None) -> tuple[int, bytes]:
        key = self.server.devices.get(device or "")
        if self.path != PATH or key is None:
            return 401, b""
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 < length <= MAX_BODY_BYTES:
                return 413, b""
            request = Request.from_bytes(self.rfile.read(length))
        except ValueError:
            return 400, b""
        wanted: Any = Wanted(request.engine, request.model_sha256)
        try:
            with self.server.lock:
                reference = self.server.store.fetch(request.card, wanted)
        except TemplateError as error:
            found = [code for code, kind in STATUS.items() if type(error) is kind]
            return (found[0] if found else 500), b""
        return 200, sealed_for(key, request, reference)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the base class would write addresses and paths."""


def _name(certificate: Any) -> str | None:
    """Common name of the client's certificate, which TLS has verified."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
