"""Mutual TLS of a client: verify the broker, show one's own papers, say which file is wrong."""

from __future__ import annotations

import ssl

from mqtt_bridge.diagnosis import TlsFilesError
from mqtt_bridge.ports import TlsFiles


class _ClosingTlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho drops it open, and a descriptor would leak."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands within the socket's timeout, or close."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that verifies the broker and shows one's own certificate.

    Raises TlsFilesError naming the file that is missing or does not fit.
    """
    for path in (files.ca, files.certificate, files.private_key):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsFilesError(f"{path}: {error.strerror}") from error
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=files.ca)
    except ssl.SSLError as error:
        raise TlsFilesError(f"{files.ca} holds no certificate authority: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _ClosingTlsSocket
    try:
        context.load_cert_chain(files.certificate, files.private_key)
    except ssl.SSLError as error:
        raise TlsFilesError(
            f"{files.certificate} and {files.private_key} are no certificate and its key: {error}"
        ) from error
    return context
