"""The board of the tests: a pty as its USB line, chip models on its bus, a pty as its modem."""

import gc
import json
import os
import select
import sys
import time

import machine
from sniffer.drivers.bus import Bus

from sim.air import Air, SimulatedI2C, Station


def model(chip):
    """Only the model that is used takes memory."""
    if chip == "si4735":
        from sim.si4735 import Si4735Model as Model
    elif chip == "si4703":
        from sim.si4703 import Si4703Model as Model
    else:
        from sim.rda5807 import Rda5807Model as Model
    return Model


class FilePort:
    """Two open files, neither of which may block."""

    def __init__(self, incoming, outgoing, look=None, chunk=256):
        self._chunk = chunk  # more than one byte only where reading never waits
        self._look = look
        self._in = incoming
        self._out = outgoing
        self._poll = select.poll()
        self._poll.register(incoming, select.POLLIN)
        self._pending = b""
        self._at = 0

    def close(self):
        pass

    def read(self):
        if self._look is not None:
            self._look.look()
        if self._at < len(self._pending):
            self._at += 1
            return self._pending[self._at - 1]
        try:
            for _, flags in self._poll.ipoll(0):
                if flags & select.POLLIN:
                    self._pending = self._in.read(self._chunk) or b""
                    if self._pending:
                        self._at = 1
                        return self._pending[0]
        except OSError:  # nobody holds the other end: the host is unplugged
            pass
        return -1

    def write(self, buffer, offset=0, length=-1):
        if self._look is not None and self._look.is_mute:
            return 0
        if length < 0:
            length = len(buffer)
        try:
            return self._out.write(memoryview(buffer)[offset : offset + length]) or 0
        except OSError:  # full, or unplugged
            return 0


class Faults:
    """What a test does to the bus, by writing a file: ``gone``, ``ones``, ``stuck``, ``hang``."""

    def __init__(self):
        self.i2c = None
        self._looked = 0
        self.is_mute = False

    def look(self):
        now = time.ticks_ms()
        if time.ticks_diff(now, self._looked) < 50:
            return
        self._looked = now
        if self.i2c is None:
            return
        try:
            with open("fault") as file:
                word = file.read()
        except OSError:
            word = ""
        self.is_mute = word == "mute"  # nobody reads: the USB port takes nothing
        self.i2c.is_gone = word == "gone"
        self.i2c.is_all_ones = word == "ones"
        if word == "stuck":
            self.i2c.is_stuck = True
            os.remove("fault")
        if word == "error":
            os.remove("fault")
            raise RuntimeError("made by a test")
        while word == "hang":
            time.sleep_ms(100)


class Linux:
    NAME = "simulated"
    ticks_us = staticmethod(time.ticks_us)
    ticks_diff = staticmethod(time.ticks_diff)
    reset = staticmethod(machine.reset)
    reset_cause = staticmethod(machine.reset_cause)
    unique_id = staticmethod(machine.unique_id)

    def __init__(self):
        with open("scene.json") as file:
            self._scene = json.load(file)
        self._faults = Faults()

    def random(self, length):
        with open("/dev/urandom", "rb") as file:
            return file.read(length)

    def heap_free(self):
        return gc.mem_free()

    def port(self):
        return FilePort(sys.stdin.buffer, sys.stdout.buffer, self._faults)

    def bus(self):
        stations = [Station(**station) for station in self._scene["stations"]]
        air = Air(stations, time.ticks_ms, self._scene.get("tune_ms", 2))
        i2c = SimulatedI2C(model(self._scene["chip"])(air))
        self._faults.i2c = i2c
        return Bus(i2c, i2c.clock_free)

    def modem_uart(self):
        if not self._scene.get("modem"):
            return None
        file = open(self._scene["modem"], "r+b")
        return FilePort(file, file, chunk=1)

    def was_watchdog(self):
        return machine.reset_cause() == machine.WDT_RESET

    def watchdog(self, timeout_ms):
        return machine.WDT(timeout=self._scene.get("watchdog_ms", timeout_ms)).feed

    def idle(self):
        machine.idle()


def make():
    return Linux()
