"""The application: one loop that never waits, and what its parts share."""

import sys
from struct import pack, pack_into

from sniffer import VERSION
from sniffer import messages as m
from sniffer.clock import Clock, since
from sniffer.commands import Commands
from sniffer.fmdx import TextDialect
from sniffer.identity import Identity
from sniffer.link import CONTROL, EVENT, TELEMETRY, Link
from sniffer.modem import Modem
from sniffer.tuning import Tuning
from sniffer.update import Update

WATCHDOG_MS = 8000  # the RP2040's longest is 8388
_HEARTBEAT_MS = 1000
_SETTLE_MS = 60000
_TRIAL_MS = 180000  # an image on trial that nobody confirms gives the old one back
_RESET_MS = 200  # for the reply to leave
_BYTES_A_STEP = 64
_FAULT_ERROR = 5
_FAULT_WATCHDOG = 4
_ERRORS_IN_A_ROW = 100

SAFE = 1
TRIAL = 2
PAUSED = 4
LOST = 8
KEYED = 16


def _fixed(text, length):
    """Text as that many bytes, zeros after it."""
    raw = text.encode()[:length]
    return raw + bytes(length - len(raw))


class App:
    """Everything on the board. In safe mode only the link and updates run, without a watchdog.

    ``board`` gives the hardware: see ``board_rp2.py`` for what it must have.
    """

    def __init__(self, board, slots, lanes):
        self.board = board
        self.slots = slots
        self.clock = Clock(board.ticks_us, board.ticks_diff)
        self.boot_id = int.from_bytes(board.random(4), "little")
        self.port = board.port()
        self.link = Link(self.port, self.clock, lanes)
        self.identity = Identity(slots.root)
        self.updates = Update(slots.root, slots.other, self.keep_alive)
        self.bus = None
        self.tuning = None
        self.modem = None
        if not slots.is_safe:
            self.bus = board.bus()
            self.tuning = Tuning(self.bus, self.clock, self.link, self.report)
            uart = board.modem_uart()
            self.modem = None if uart is None else Modem(uart, self.clock, self.link)
        self.text = None if self.tuning is None else TextDialect(self.port, self.tuning)
        self.commands = Commands(self)
        self._counters = bytearray(50)
        self._fault = bytearray(9 + 64)
        self._beat_at = self._started = self.clock.ms()
        self._reset_at = None
        self._wants_text = False
        self._is_settled = False
        self._errors = 0
        self._feed = None
        self.is_leaving = False
        self._is_done = False

    # -- what the parts say -------------------------------------------------------------------

    def report(self, code, detail, text):
        """A fault event."""
        raw = text.encode()[:64]
        pack_into(m.FAULT_LAYOUT, self._fault, 0, 0, code, detail & 0xFFFFFFFF)
        for i in range(len(raw)):
            self._fault[9 + i] = raw[i]
        self.link.put_event(m.FAULT, self._fault, 9 + len(raw))

    def say_hello(self, nonce):
        """Who we are, and the proof over the host's nonce."""
        body = pack(
            m.HELLO_LAYOUT[:-3],
            m.PROTOCOL,
            self.boot_id,
            self.board.unique_id(),
            _fixed(self.board.NAME, 12),
            _fixed(VERSION, 12),
            self.slots.digest()[:8],
            _fixed(".".join(str(n) for n in sys.implementation.version[:3]), 12),
            self.board.reset_cause() & 0xFF,
            self.slots.running.encode(),
            self._flags() | (KEYED if self.identity.has_key else 0),
            0 if self.tuning is None else self.tuning.kind,
            0 if self.modem is None else 1,
            self.board.heap_free(),
        )
        proof = bytes(16) if nonce is None else self.identity.prove(nonce, body)
        self.link.put(CONTROL, m.HELLO, body + proof, len(body) + 16)

    def _flags(self):
        return (
            (SAFE if self.slots.is_safe else 0)
            | (TRIAL if self.slots.is_trial else 0)
            | (PAUSED if self.link.is_paused else 0)
            | (LOST if self.tuning is not None and self.tuning.is_lost else 0)
        )

    def counters(self):
        """The heartbeat's payload."""
        link = self.link
        pack_into(
            m.HEARTBEAT_LAYOUT,
            self._counters,
            0,
            self.boot_id,
            link.offered & 0xFFFFFFFF,
            link.sent & 0xFFFFFFFF,
            link.dropped[CONTROL] & 0xFFFFFFFF,
            link.dropped[EVENT] & 0xFFFFFFFF,
            link.dropped[TELEMETRY] & 0xFFFFFFFF,
            link.resent & 0xFFFFFFFF,
            link.received & 0xFFFFFFFF,
            link.bad_frames & 0xFFFFFFFF,
            link.next_event & 0xFFFFFFFF,
            0 if self.bus is None else self.bus.faults & 0xFFFF,
            0 if self.bus is None else self.bus.recoveries & 0xFFFF,
            self.board.heap_free(),
            0 if self.tuning is None else self.tuning.job,
            self._flags(),
        )
        return self._counters

    def keep_alive(self):
        """Feed the watchdog: from the main loop, and from what takes longer than a turn."""
        if self._feed is not None:
            self._feed()

    def leave_soon(self):
        """Give the board to the interpreter's prompt once the reply has left."""
        self._reset_at = self.clock.ms()
        self.is_leaving = True

    def reset_soon(self):
        """Restart once the reply has left."""
        self._reset_at = self.clock.ms()

    def text_soon(self):
        """Speak text once the reply has left."""
        self._wants_text = True

    # -- the loop -----------------------------------------------------------------------------

    def step(self):
        """One turn; returns whether there was anything to do."""
        was_busy = self._take_bytes()
        if self.tuning is not None:
            self.tuning.step()
        if self.modem is not None:
            self.modem.step()
        self._keep_time()
        if self.text is not None and self.text.is_on:
            self.text.pump_out()
            return True
        is_waiting = self.link.pump_out()
        if self._wants_text and not is_waiting:
            self._wants_text = False
            self.text.begin()
        return was_busy or is_waiting

    def _take_bytes(self):
        for i in range(_BYTES_A_STEP):
            byte = self.port.read()
            if byte < 0:
                return i > 0
            if self.text is not None and self.text.is_on:
                if not self.text.take_byte(byte):
                    self.link.resync()
            elif self.text is not None and self.link.is_text_hello(byte):
                self.text.begin()
            elif self.link.take_byte(byte):
                self.commands.take(self.link.frame, self.link.length)
        return True

    def _keep_time(self):
        clock = self.clock
        if since(clock, self._beat_at) >= _HEARTBEAT_MS:
            self._beat_at = clock.ms()
            self.link.put(CONTROL, m.HEARTBEAT, self.counters(), len(self._counters))
        running = since(clock, self._started)
        if not self._is_settled and running > _SETTLE_MS:
            self._is_settled = True
            self.slots.settle()
        if self.slots.is_trial and running > _TRIAL_MS and self._reset_at is None:
            self.reset_soon()
        if self._reset_at is not None and since(clock, self._reset_at) > _RESET_MS:
            if not self.is_leaving:
                self.board.reset()
            self._is_done = True

    def run(self):
        """Until told to leave. An error in one turn is reported and the next turn goes on."""
        self.link.resync()
        self.say_hello(None)
        if self.board.was_watchdog():
            self.report(_FAULT_WATCHDOG, self.slots.crashes, "watchdog reset")
        self._feed = None if self.slots.is_safe else self.board.watchdog(WATCHDOG_MS)
        while not self._is_done:
            try:
                if not self.step():
                    self.board.idle()
                self._errors = 0
            except Exception as error:
                self._errors += 1
                if self._errors > _ERRORS_IN_A_ROW:
                    self.board.reset()
                self.report(_FAULT_ERROR, self._errors, repr(error))
            self.keep_alive()
        self.port.close()
