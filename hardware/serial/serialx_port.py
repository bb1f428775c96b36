"""The second backend: a port over serialx, where that package is installed (extra ``serialx``)."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

from hardware.serial.errors import PORT_ERRORS, PortError, in_words

if TYPE_CHECKING:
    from hardware.serial.transport import LineSettings


def _locked(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EBUSY


class SerialxTransport:
    """A device path or socket:// over serialx; see Transport.

    rfc2217:// is left to pyserial: serialx 1.15 waits in vain for an answer of pyserial's own
    server, to which ours gets through.
    """

    is_recording = False

    def __init__(
        self, name: str, url: str, settings: LineSettings, *, write_timeout_s: float
    ) -> None:
        if url.startswith("rfc2217://"):
            raise PortError(name, "rfc2217:// goes over the backend pyserial only")
        try:
            import serialx
        except ModuleNotFoundError as error:
            raise PortError(
                name, "backend serialx is not installed: it comes with qianshao[serialx]"
            ) from error
        self.name = name
        self.device = url if "://" not in url else None
        self._errors = (*PORT_ERRORS, serialx.SerialException)
        self._write_lock = threading.Lock()
        self._problem: PortError | None = None
        pins = serialx.PinState
        try:
            self._port = serialx.serial_for_url(
                url,
                baudrate=settings.baudrate,
                write_timeout=write_timeout_s,
                dtr_on_open=pins.HIGH if settings.is_dtr_asserted else pins.LOW,
                rts_on_open=pins.HIGH if settings.is_rts_asserted else pins.LOW,
                exclusive=True,
            )
            self._port.open()
        except (*self._errors, ValueError) as error:
            problem = "another program has locked it" if _locked(error) else in_words(error)
            raise PortError(name, problem) from error

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """Wait for bytes and return those at hand; see Transport."""
        if self._problem is not None:
            raise self._problem
        buffer = bytearray(max_bytes)
        try:
            count = self._port.readinto(buffer, timeout=timeout_s)
        except TimeoutError:
            return b""
        except (*self._errors, AssertionError, ValueError) as error:
            raise PortError(self.name, in_words(error) or "lost") from error
        return bytes(buffer[:count])

    def write(self, data: bytes) -> None:
        """Write everything; see Transport."""
        with self._write_lock:
            try:
                self._port.write(data)
            except (*self._errors, AssertionError, ValueError) as error:
                raise PortError(self.name, in_words(error) or "lost") from error

    def close(self) -> None:
        """Close once no write is under way; a device that is gone closes too."""
        with self._write_lock:
            self._problem = self._problem or PortError(self.name, os.strerror(errno.EBADF))
            try:
                self._port.close()
            except self._errors as error:
                raise PortError(self.name, in_words(error)) from error
