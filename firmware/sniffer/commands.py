"""The host's commands: one at a time, each answered once, however often it is sent."""

from struct import pack, unpack_from

from sniffer import messages as m
from sniffer.drivers.tuner import BOTTOM_KHZ, TOP_KHZ
from sniffer.link import CONTROL
from sniffer.tuning import is_range
from sniffer.update import UpdateError


class Commands:
    """Reads a frame, does what it says, queues the reply."""

    def __init__(self, app):
        self._app = app
        self._last = None  # sequence number and type of the last command
        self._reply = b""
        self.received_us = 0
        self._handlers = {
            m.HELLO_REQUEST: self._hello,
            m.SYNC_TIME: self._sync_time,
            m.TUNE: self._tune,
            m.START_SWEEP: self._start_sweep,
            m.STOP: self._stop,
            m.SET_VOLUME: self._set_volume,
            m.RESEND: self._resend,
            m.PAUSE: self._pause,
            m.MODEM_COMMAND: self._modem,
            m.GET_COUNTERS: self._counters,
            m.UPDATE_BEGIN: self._update_begin,
            m.UPDATE_DATA: self._update_data,
            m.UPDATE_END: self._update_end,
            m.CONFIRM_BOOT: self._confirm,
            m.PROVISION: self._provision,
            m.REBOOT: self._reboot,
            m.SET_DIALECT: self._dialect,
            m.PING: self._ping,
        }

    def take(self, frame, length):
        """One good frame. The same command again (its reply was lost) gets the same reply."""
        kind = frame[1]
        seq = frame[2] | frame[3] << 8
        if frame[0] >> 4 != m.PROTOCOL and kind != m.HELLO_REQUEST:
            status, answer = m.BAD_VERSION, b""
        elif (seq, kind) == self._last and kind != m.HELLO_REQUEST:
            self._app.link.put(CONTROL, m.REPLY, self._reply, len(self._reply))
            return
        else:
            self.received_us = self._app.clock.us()
            status, answer = self._do(kind, bytes(frame[8:length]))
        self._last = (seq, kind)
        self._reply = pack(m.REPLY_LAYOUT, seq, kind, status) + answer
        self._app.link.put(CONTROL, m.REPLY, self._reply, len(self._reply))

    def _do(self, kind, payload):
        if kind not in m.COMMANDS:
            return m.UNKNOWN, b""
        layout, size, has_tail = m.COMMANDS[kind]
        if len(payload) < size or (len(payload) > size and not has_tail):
            return m.BAD_LENGTH, b""
        fields = unpack_from(layout, payload, 0)
        if has_tail:
            fields = fields + (payload[size:],)
        try:
            return self._handlers[kind](*fields)
        except UpdateError as error:
            self._app.updates.abandon()
            self._app.report(5, kind, str(error))
            return m.FAILED, b""
        except OSError as error:  # the file system
            self._app.report(5, kind, str(error))
            return m.FAILED, b""

    def _hello(self, protocol, nonce):
        if protocol != m.PROTOCOL:
            return m.BAD_VERSION, b""
        self._app.say_hello(nonce)
        return m.DONE, b""

    def _sync_time(self, host_us):
        return m.DONE, pack(m.SYNC_TIME_ANSWER, host_us, self.received_us, self._app.clock.us())

    def _tuning(self):
        """The tuner's work, or why there is none."""
        app = self._app
        if app.tuning is None:
            return None, m.SAFE_MODE
        if app.updates.is_running:
            return None, m.BUSY
        if app.tuning.tuner is None or app.tuning.is_lost:
            return None, m.NO_DEVICE
        return app.tuning, m.DONE

    def _tune(self, khz):
        tuning, status = self._tuning()
        if tuning is None:
            return status, b""
        if not BOTTOM_KHZ <= khz <= TOP_KHZ or khz % 50:
            return m.BAD_VALUE, b""
        if tuning.is_sweeping:
            return m.BUSY, b""
        tuning.tune(khz)
        return m.DONE, b""

    def _start_sweep(self, start, stop, step, repeats):
        tuning, status = self._tuning()
        if tuning is None:
            return status, b""
        if not is_range(start, stop, step):
            return m.BAD_VALUE, b""
        if tuning.is_sweeping:
            return m.BUSY, b""
        tuning.sweep(start, stop, step, repeats)
        return m.DONE, b""

    def _stop(self):
        if self._app.tuning is not None:
            self._app.tuning.stop()
        self._app.updates.abandon()
        return m.DONE, b""

    def _set_volume(self, volume):
        tuning, status = self._tuning()
        if tuning is None:
            return status, b""
        if volume > 15:
            return m.BAD_VALUE, b""
        tuning.set_volume(volume)
        return m.DONE, b""

    def _resend(self, first, last):
        link = self._app.link
        link.resend(first, last)
        return m.DONE, pack(m.RESEND_ANSWER, link.oldest_event)

    def _pause(self, is_paused):
        self._app.link.is_paused = bool(is_paused)
        return m.DONE, b""

    def _modem(self, timeout_s, text):
        modem = self._app.modem
        if modem is None:
            return m.NO_DEVICE, b""
        if not text:
            modem.cancel()
            return m.DONE, b""
        if b"\r" in text or b"\n" in text or not 1 <= timeout_s <= 600:
            return m.BAD_VALUE, b""
        if modem.is_running:
            return m.BUSY, b""
        modem.command(text, timeout_s)
        return m.DONE, b""

    def _counters(self):
        return m.DONE, self._app.counters()

    def _update_begin(self, size, digest, proof):
        app = self._app
        boot_id = app.boot_id.to_bytes(4, "little")
        if not app.identity.is_proven(proof, boot_id, size.to_bytes(4, "little"), digest):
            return m.REFUSED, b""
        if app.tuning is not None and app.tuning.is_sweeping:
            return m.BUSY, b""
        if app.tuning is not None:
            app.tuning.stop()
        app.updates.begin(size, digest)
        return m.DONE, b""

    def _update_data(self, offset, data):
        self._app.updates.data(offset, data)
        return m.DONE, b""

    def _update_end(self):
        slot = self._app.updates.end()
        self._app.slots.try_next(slot)
        return m.DONE, b""

    def _confirm(self):
        self._app.slots.confirm()
        return m.DONE, b""

    def _provision(self, key):
        return (m.DONE if self._app.identity.provision(key) else m.REFUSED), b""

    def _reboot(self, is_safe):
        if is_safe > 2:
            return m.BAD_VALUE, b""
        if is_safe == 2:
            if not self._app.slots.is_safe:  # the watchdog, once started, would cut it short
                return m.REFUSED, b""
            self._app.leave_soon()
            return m.DONE, b""
        if is_safe:
            self._app.slots.ask_safe()
        self._app.reset_soon()
        return m.DONE, b""

    def _dialect(self, dialect):
        if dialect != 1:
            return m.BAD_VALUE, b""
        if self._app.tuning is None:
            return m.SAFE_MODE, b""
        self._app.text_soon()
        return m.DONE, b""

    def _ping(self, echo):
        return m.DONE, echo
