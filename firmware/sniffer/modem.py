"""The modem's UART, line by line: what it says goes to the host as events, as it said it."""

from sniffer import messages as m
from sniffer.clock import since

ENDS = 1
CONTINUES = 2
TIMED_OUT = 4
_TEXT = m.MAX_EVENT - 5
_FINAL = (b"OK", b"ERROR", b"NO CARRIER", b"ABORTED")
_FINAL_STARTS = (b"+CME ERROR", b"+CMS ERROR")
_CANCEL_MS = 5000
_BYTES_A_STEP = 64


class Modem:
    """One command at a time; unsolicited lines between and within pass through.

    ``uart`` has ``read()`` (one byte or -1) and ``write(bytes)``.
    """

    def __init__(self, uart, clock, link):
        self._uart = uart
        self._clock = clock
        self._link = link
        self._event = bytearray(m.MAX_EVENT)
        self._length = 0
        self._is_running = False
        self._started = 0
        self._limit_ms = 0

    @property
    def is_running(self):
        """A command has not ended yet."""
        return self._is_running

    def command(self, text, timeout_s):
        """Send a command."""
        self._start(timeout_s * 1000)
        self._uart.write(text + b"\r")

    def cancel(self):
        """Any character ends a scan (TS 27.007 section 5.6); then the final line ends this."""
        if self._is_running:
            self._start(_CANCEL_MS)
            self._uart.write(b"\r")

    def _start(self, limit_ms):
        self._is_running = True
        self._started = self._clock.ms()
        self._limit_ms = limit_ms

    def step(self):
        """Take what has come."""
        for _ in range(_BYTES_A_STEP):
            byte = self._uart.read()
            if byte < 0:
                break
            if byte == 10 or byte == 13:
                self._end_line()
            else:
                if self._length == _TEXT:
                    self._send(CONTINUES)
                self._event[5 + self._length] = byte
                self._length += 1
        if self._is_running and since(self._clock, self._started) > self._limit_ms:
            self._is_running = False
            self._send(ENDS | TIMED_OUT)

    def _end_line(self):
        if self._length == 0:
            return
        flags = 0
        if self._is_running and self._is_final():
            self._is_running = False
            flags = ENDS
        self._send(flags)

    def _is_final(self):
        line = bytes(self._event[5 : 5 + self._length])
        if line in _FINAL:
            return True
        for start in _FINAL_STARTS:
            if line.startswith(start):
                return True
        return False

    def _send(self, flags):
        self._event[4] = flags
        self._link.put_event(m.MODEM_LINE, self._event, 5 + self._length)
        self._length = 0
