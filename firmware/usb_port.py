"""The USB line to the host: a serial port of its own where the library is there, else the REPL's.

``usb-device-cdc`` of micropython-lib gives a second port, whose write says how much it took, so no
byte is lost uncounted. Without it the REPL's port is used: its write drops after half a second
without a reader (micropython issue 9638); such a frame is then missing at the host and counted.
"""

import select
import sys

import micropython

try:
    import usb.device
    from usb.device.cdc import CDCInterface
except ImportError:
    CDCInterface = None

_CHUNK = 64  # a USB packet: the REPL's port takes one whole once it takes anything


class CdcPort:
    """The second serial port."""

    def __init__(self):
        self._cdc = CDCInterface()
        self._cdc.init(timeout=0, txbuf=1024, rxbuf=1024)
        usb.device.get().init(self._cdc, builtin_driver=True)
        self._byte = bytearray(1)

    def close(self):
        """Nothing to give back."""

    def read(self):
        """Next byte, -1 when there is none."""
        if not self._cdc.readinto(self._byte):
            return -1
        return self._byte[0]

    def write(self, buffer, offset, length):
        """Write what fits; returns how much that was."""
        if not self._cdc.is_open():
            return 0
        return self._cdc.write(memoryview(buffer)[offset : offset + length]) or 0


class ReplPort:
    """The interpreter's own port, in bytes: byte 3 is data and no interrupt."""

    def __init__(self):
        micropython.kbd_intr(-1)
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._readable = select.poll()
        self._readable.register(self._in, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._out, select.POLLOUT)

    def close(self):
        """Byte 3 interrupts again: a person may take over."""
        micropython.kbd_intr(3)

    def read(self):
        """Next byte, -1 when there is none; more than one would wait on some ports."""
        for _, flags in self._readable.ipoll(0):
            if flags & select.POLLIN:
                byte = self._in.read(1)
                if byte:
                    return byte[0]
        return -1

    def write(self, buffer, offset, length):
        """Write a packet at most, if the port takes any."""
        for _, flags in self._writable.ipoll(0):
            if flags & select.POLLOUT:
                end = offset + min(length, _CHUNK)
                return self._out.write(memoryview(buffer)[offset:end]) or 0
        return 0


def open_port():
    """The best port there is."""
    return ReplPort() if CDCInterface is None else CdcPort()
