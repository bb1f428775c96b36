"""The two boards' own modules over a recorded ``machine``: pins, reset, ports, watchdog."""
# ruff: noqa: E402 - the recorded machine must stand before what imports it

import sys

from kit import raises, run

calls = []


class Pin:
    OUT = "out"
    IN = "in"
    PULL_UP = "pull up"
    OPEN_DRAIN = "open drain"

    def __init__(self, number, mode=None, pull=None, value=None):
        self.number = number
        calls.append(("pin", number, mode, value))

    def __call__(self, value):
        calls.append(("set", self.number, value))

    def init(self, mode, pull=None):
        calls.append(("pin", self.number, mode, pull))


class I2C:
    def __init__(self, number, sda, scl, freq, timeout):
        calls.append(("i2c", number, sda.number, scl.number, freq))

    def scan(self):
        return [0x63]

    def writeto(self, address, data):
        raise OSError(5)


class UART:
    def __init__(self, number, baud, tx, rx, rxbuf, timeout):
        calls.append(("uart", number, baud, tx.number, rx.number))
        self.incoming = b"OK"

    def any(self):
        return len(self.incoming)

    def readinto(self, buffer):
        buffer[0] = self.incoming[0]
        self.incoming = self.incoming[1:]
        return 1

    def write(self, data):
        calls.append(("sent", data))


class WDT:
    def __init__(self, timeout):
        calls.append(("watchdog", timeout))

    def feed(self):
        calls.append(("feed",))


class Machine:
    PWRON_RESET = 1
    WDT_RESET = 3
    Pin = Pin
    I2C = I2C
    UART = UART
    WDT = WDT

    def reset(self=None):
        calls.append(("reset",))

    def reset_cause(self=None):
        return 3

    def unique_id(self=None):
        return b"\1\2\3\4\5\6"

    def idle(self=None):
        pass


class Cdc:
    room = 5
    is_there = True
    incoming = b"\0\3"

    def init(self, timeout, txbuf, rxbuf):
        assert timeout == 0

    def is_open(self):
        return self.is_there

    def write(self, data):
        return min(len(data), self.room)

    def readinto(self, buffer):
        if not self.incoming:
            return None
        buffer[0] = self.incoming[0]
        self.incoming = self.incoming[1:]
        return 1


class Module:
    pass


sys.modules["machine"] = Machine()
import board_esp32
import board_rp2
import usb_port
from sniffer.drivers.bus import BusFault


def boards():
    return ((board_rp2.make(), 4, 5, 6, 8, 9), (board_esp32.make(), 8, 9, 10, 17, 18))


def test_pins_of_the_tuner_and_its_reset():
    for board, sda, scl, reset, _, _ in boards():
        calls.clear()
        bus = board.bus()
        assert ("i2c", 0, sda, scl, 100000) in calls
        low = calls.index(("pin", reset, "out", 0))
        high = calls.index(("set", reset, 1))
        # SDIO is low when RST rises: that selects the two-wire mode of Si470x
        assert calls.index(("pin", sda, "out", 0)) < low < high
        assert calls.index(("pin", sda, "in", "pull up")) > high
        assert bus.scan() == [0x63]
        raises(BusFault, bus.write, 0x63, b"\1")
        calls.clear()
        bus.recover()
        assert calls.count(("set", scl, 0)) == 9
        assert calls[-1][0] == "i2c"


def test_modem_uart_byte_by_byte():
    for board, _, _, _, tx, rx in boards():
        calls.clear()
        uart = board.modem_uart()
        assert ("uart", 1, 115200, tx, rx) in calls
        assert [uart.read(), uart.read(), uart.read()] == [79, 75, -1]
        uart.write(b"AT\r")
        assert calls[-1] == ("sent", b"AT\r")


def test_identity_watchdog_and_reset():
    for board, name in ((board_rp2.make(), "rp2040"), (board_esp32.make(), "esp32s3")):
        assert name == board.NAME
        assert board.unique_id() == b"\1\2\3\4\5\6\0\0"
        assert board.was_watchdog()
        assert len(board.random(4)) == 4
        assert board.heap_free() > 0
        calls.clear()
        feed = board.watchdog(8000)
        feed()
        assert calls == [("watchdog", 8000), ("feed",)]
        board.idle()
        assert board.ticks_diff(board.ticks_us(), board.ticks_us()) <= 0


def test_without_the_usb_library_the_interpreters_port_is_used():
    assert usb_port.CDCInterface is None
    port = usb_port.open_port()
    assert isinstance(port, usb_port.ReplPort)
    assert port.write(bytearray(b"...ok port\n"), 3, 8) == 8
    port.close()
    assert port.read() == -1  # nothing is there, and nothing waits


def test_the_second_usb_port_takes_what_fits():
    usb_port.CDCInterface = Cdc
    device = Module()
    device.init = lambda cdc, builtin_driver: calls.append(("usb", builtin_driver))
    usb_port.usb = Module()
    usb_port.usb.device = Module()
    usb_port.usb.device.get = lambda: device
    port = usb_port.open_port()
    assert calls[-1] == ("usb", True)
    assert [port.read(), port.read(), port.read()] == [0, 3, -1]
    assert port.write(bytearray(20), 2, 10) == 5
    Cdc.is_there = False
    assert port.write(bytearray(20), 2, 10) == 0
    usb_port.CDCInterface = None


run(globals())
