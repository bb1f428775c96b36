"""The framed link: COBS + CRC-32 frames, bounded queues, sequence numbers, an event ring.

A frame on the wire is ``COBS(header + payload + CRC-32) 0x00``. Everything between :meth:`put` and
the wire, and between the wire and :meth:`take_byte`, works in memory allocated at start: a board
that runs for months must not fragment its heap with every frame.
"""

from binascii import crc32

from sniffer import cobs
from sniffer import messages as m

_BODY = 8 + m.MAX_PAYLOAD + 4  # 250
_WIRE = _BODY + 2  # one byte of COBS, one zero
CONTROL = 0
EVENT = 1
TELEMETRY = 2


class _Check:
    """CRC-32 of a buffer's first bytes, whatever their number, without allocating.

    A view of every length would do too, and would take a tenth of a small board's heap.
    """

    _BLOCK = 16

    def __init__(self, buffer):
        self._buffer = buffer
        size = self._BLOCK
        whole = memoryview(buffer)
        self._blocks = tuple(whole[i : i + size] for i in range(0, len(buffer) - size + 1, size))
        self._tail = bytearray(size)
        tail = memoryview(self._tail)
        self._tails = tuple(tail[:n] for n in range(size))

    def crc(self, length):
        blocks = length // self._BLOCK
        crc = 0
        for i in range(blocks):
            crc = crc32(self._blocks[i], crc)
        at = blocks * self._BLOCK
        rest = length - at
        for i in range(rest):
            self._tail[i] = self._buffer[at + i]
        return crc32(self._tails[rest], crc)


def _put32(buffer, at, value):
    buffer[at] = value & 0xFF
    buffer[at + 1] = (value >> 8) & 0xFF
    buffer[at + 2] = (value >> 16) & 0xFF
    buffer[at + 3] = (value >> 24) & 0xFF


class Slots:
    """A ring of equal slots ``type, length, 4 bytes of time, payload``; drops its oldest."""

    def __init__(self, slots, room):
        self._slots = slots
        self._size = 6 + room
        self._room = room
        self._bytes = bytearray(slots * self._size)
        self.first = 0  # number of the oldest entry held
        self.next = 0  # number the next entry gets

    def put(self, kind, payload, length, clock):
        """Copy one message in; returns how many old ones had to go (0 or 1)."""
        if length > self._room:
            raise ValueError("payload too long")
        at = (self.next % self._slots) * self._size
        data = self._bytes
        data[at] = kind
        data[at + 1] = length
        clock.write_ms(data, at + 2)
        at += 6
        for i in range(length):
            data[at + i] = payload[i]
        self.next += 1
        if self.next - self.first > self._slots:
            self.first += 1
            return 1
        return 0

    def copy(self, number, frame):
        """Write entry ``number`` into a frame body (not its version and seq); return the length."""
        at = (number % self._slots) * self._size
        data = self._bytes
        length = data[at + 1]
        frame[1] = data[at]
        for i in range(4):
            frame[4 + i] = data[at + 2 + i]
        at += 6
        for i in range(length):
            frame[8 + i] = data[at + i]
        return 8 + length


def make_lanes(telemetry_slots=16):
    """The three queues, 15 KiB: made before the heap is in small pieces."""
    return (
        Slots(6, m.MAX_PAYLOAD),
        Slots(m.EVENT_RING, m.MAX_EVENT),
        Slots(telemetry_slots, m.MAX_PAYLOAD),
    )


class Link:
    """Both directions of one line. ``port`` has ``read()`` and ``write(buffer, offset, length)``.

    ``read`` gives one byte or -1; ``write`` takes what fits and says how much. Neither may block.
    """

    def __init__(self, port, clock, lanes):
        self._port = port
        self._clock = clock
        self._lanes = lanes
        self._event_unsent = 0  # number of the first event not yet sent
        self._resend_at = 0
        self._resend_end = 0
        self.is_paused = False
        self.offered = 0
        self.sent = 0
        self.dropped = [0, 0, 0]
        self.resent = 0
        self._seq = 0
        self._out_body = bytearray(_BODY)
        self._out_check = _Check(self._out_body)
        self._out = bytearray(_WIRE + 1)
        self._out_at = 0
        self._out_len = 0
        self._is_idle = True
        self._in = bytearray(_WIRE)
        self._in_check = _Check(self._in)
        self._in_len = 0
        self._is_overlong = False
        self.length = 0  # of the frame in `frame`, header included, CRC not
        self.frame = self._in
        self.received = 0
        self.bad_frames = 0

    # -- to the wire --------------------------------------------------------------------------

    @property
    def next_event(self):
        """Number the next event will get."""
        return self._lanes[EVENT].next

    @property
    def oldest_event(self):
        """Number of the oldest event still held."""
        return self._lanes[EVENT].first

    def put(self, lane, kind, payload, length):
        """Queue a message; what no longer fits is dropped and counted."""
        self.offered += 1
        lost = self._lanes[lane].put(kind, payload, length, self._clock)
        if lane == EVENT:
            # Overwriting an event that has been sent loses nothing but the chance of a re-send.
            oldest = self._lanes[EVENT].first
            if self._event_unsent < oldest:
                self._event_unsent = oldest
            else:
                lost = 0
        if lost:
            self.dropped[lane] += 1

    def put_event(self, kind, payload, length):
        """Queue an event; its number is written into the payload's first 4 bytes."""
        _put32(payload, 0, self._lanes[EVENT].next)
        self.put(EVENT, kind, payload, length)

    def resend(self, first, last):
        """Send events again, those still held."""
        self._resend_at = max(first, self._lanes[EVENT].first)
        self._resend_end = min(last + 1, self._event_unsent)

    @property
    def queued(self):
        """Messages waiting for the wire, re-sends not counted."""
        control, events, telemetry = self._lanes
        waiting = events.next - self._event_unsent
        return control.next - control.first + waiting + telemetry.next - telemetry.first

    def pump_out(self):
        """Move bytes to the port until it takes no more; True while something is left."""
        while True:
            while self._out_at < self._out_len:
                took = self._port.write(self._out, self._out_at, self._out_len - self._out_at)
                if took <= 0:
                    return True
                self._out_at += took
            if self._is_idle and self._has_next():
                # after a silence the line may have made bytes up: they must not swallow this frame
                self._is_idle = False
                self.resync()
            elif not self._fill():
                self._is_idle = True
                return False

    def _has_next(self):
        control, events, telemetry = self._lanes
        return (
            control.first < control.next
            or self._event_unsent < events.next
            or self._resend_at < self._resend_end
            or (telemetry.first < telemetry.next and not self.is_paused)
        )

    def _fill(self):
        """Make the next frame; control goes before events, events before telemetry."""
        body = self._out_body
        control, events, telemetry = self._lanes
        if control.first < control.next:
            length = control.copy(control.first, body)
            control.first += 1
        elif self._event_unsent < events.next:
            length = events.copy(self._event_unsent, body)
            self._event_unsent += 1
        elif self._resend_at < self._resend_end:
            self._resend_at = max(self._resend_at, events.first)
            length = events.copy(self._resend_at, body)
            self._resend_at += 1
            self.resent += 1
            self.offered += 1
        elif telemetry.first < telemetry.next and not self.is_paused:
            length = telemetry.copy(telemetry.first, body)
            telemetry.first += 1
        else:
            return False
        body[0] = m.PROTOCOL << 4
        body[2] = self._seq & 0xFF
        body[3] = self._seq >> 8
        self._seq = (self._seq + 1) & 0xFFFF
        self.sent += 1
        _put32(body, length, self._out_check.crc(length))
        used = cobs.encode(body, length + 4, self._out)
        self._out[used] = 0
        self._out_len = used + 1
        self._out_at = 0
        return True

    def is_text_hello(self, byte):
        """True for a line feed after a lone ``x``, and forgets both: a text client says hello.

        No frame of ours begins so: the second byte would be a frame's first, of version 0.
        """
        if byte != 10 or self._in_len != 1 or self._in[0] != 0x78:
            return False
        self._in_len = 0
        return True

    def resync(self):
        """Begin the next frame with a zero, so that torn bytes before it cost only themselves."""
        if self._out_at >= self._out_len:
            self._out[0] = 0
            self._out_at = 0
            self._out_len = 1

    # -- from the wire ------------------------------------------------------------------------

    def take_byte(self, byte):
        """Take one byte; True when a whole good frame is in ``frame[:length]``."""
        if byte:
            if self._in_len < len(self._in):
                self._in[self._in_len] = byte
                self._in_len += 1
            else:
                self._is_overlong = True
            return False
        length = self._in_len
        is_overlong = self._is_overlong
        self._in_len = 0
        self._is_overlong = False
        if length == 0:
            return False
        length = -1 if is_overlong else cobs.decode(self._in, length)
        if length < 12 or not self._is_whole(length - 4):
            self.bad_frames += 1
            return False
        self.length = length - 4
        self.received += 1
        return True

    def _is_whole(self, length):
        crc = self._in_check.crc(length)
        data = self._in
        for i in range(4):
            if data[length + i] != (crc >> (8 * i)) & 0xFF:
                return False
        return True
