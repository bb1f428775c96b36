"""The bank's template service as a :class:`TemplateSource`: mutual TLS, one card at a time.

Nothing is kept: each visit asks anew, so that a withdrawn consent holds at the next visit.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from atm_face.delivery import MAX_SEALED_BYTES, Request, opened
from atm_face.engines.interface import FaceEngine
from atm_face.templates import (
    NoConsentError,
    NotEnrolledError,
    ReEnrolError,
    Reference,
    StoreError,
    TemplateError,
)

PATH = "/v1/template"
TIMEOUT_S = 3.0

STATUS: dict[int, type[TemplateError]] = {
    404: NotEnrolledError,
    403: NoConsentError,
    409: ReEnrolError,
}
"""What the service answers where there is no reference; any other status is the service's."""


class BankTemplates:
    """Asks the bank's service for one card at a time. Safe to call from several threads."""

    def __init__(self, url: str, tls: ssl.SSLContext, own: X25519PrivateKey) -> None:
        """``tls``: verifies the service and shows the device's certificate; ``own``: its key.

        Raises StoreError for an address that is not https.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise StoreError(f"{url}: the template service is reached by https alone")
        self._host, self._port = parts.hostname, parts.port or 443
        self._path = parts.path.rstrip("/") + PATH
        self._tls, self._own = tls, own

    def fetch(self, card: bytes, engine: FaceEngine) -> Reference:
        """Reference for the card's HMAC; StoreError where the service cannot be asked."""
        request = Request.of(card, engine)
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_S, context=self._tls
        )
        try:
            connection.request("POST", self._path, request.as_bytes())
            answer = connection.getresponse()
            body = answer.read(MAX_SEALED_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"template service: {type(error).__name__} {error}") from error
        finally:
            connection.close()
        if answer.status in STATUS:
            raise STATUS[answer.status]("the bank's service has no reference for this card")
        if answer.status != 200:
            raise StoreError(f"template service: status {answer.status}")
        return opened(self._own, request, body)
