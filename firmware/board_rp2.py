"""Raspberry Pi Pico (RP2040): pins, ports and what else only this board knows.

Wiring: I2C0 on GP4 (SDA) and GP5 (SCL), tuner reset on GP6, modem on UART1 GP8 (TX) and GP9 (RX).
"""

import gc
import os
import time

import machine
from sniffer.drivers.bus import Bus, clock_free
from usb_port import open_port

MODEM_BAUD = 115200


class Rp2:
    """What the application asks of a board."""

    NAME = "rp2040"
    SDA = 4
    SCL = 5
    RESET = 6
    UART_TX = 8
    UART_RX = 9
    ticks_us = staticmethod(time.ticks_us)
    ticks_diff = staticmethod(time.ticks_diff)
    random = staticmethod(os.urandom)
    reset = staticmethod(machine.reset)
    reset_cause = staticmethod(machine.reset_cause)

    def unique_id(self):
        """8 bytes."""
        return (machine.unique_id() + bytes(8))[:8]

    def heap_free(self):
        """Bytes."""
        return gc.mem_free()

    def port(self):
        """The USB line to the host."""
        return open_port()

    def bus(self):
        """The I2C bus, its tuner reset by its pin: SDIO low at that edge selects two wires."""
        self._reset_tuner()
        return Bus(self._i2c(), self._free)

    def _reset_tuner(self):
        sda = machine.Pin(self.SDA, machine.Pin.OUT, value=0)
        reset = machine.Pin(self.RESET, machine.Pin.OUT, value=0)
        time.sleep_ms(5)
        reset(1)
        time.sleep_ms(5)
        sda.init(machine.Pin.IN, machine.Pin.PULL_UP)

    def _i2c(self):
        return machine.I2C(
            0, sda=machine.Pin(self.SDA), scl=machine.Pin(self.SCL), freq=100_000, timeout=5000
        )

    def _free(self):
        sda = machine.Pin(self.SDA, machine.Pin.OPEN_DRAIN, value=1)
        scl = machine.Pin(self.SCL, machine.Pin.OPEN_DRAIN, value=1)
        clock_free(scl, sda, time.sleep_us)
        self._i2c()  # gives the pins back to the peripheral

    def modem_uart(self):
        """The modem's UART, byte by byte."""
        tx, rx = machine.Pin(self.UART_TX), machine.Pin(self.UART_RX)
        return UartPort(machine.UART(1, MODEM_BAUD, tx=tx, rx=rx, rxbuf=2048, timeout=0))

    def was_watchdog(self):
        """The last reset was the watchdog's."""
        return machine.reset_cause() == machine.WDT_RESET

    def watchdog(self, timeout_ms):
        """Start it; returns what feeds it. It cannot be stopped again."""
        return machine.WDT(timeout=timeout_ms).feed

    def idle(self):
        """Nothing to do until an interrupt; never sleep: with a watchdog it locked up."""
        machine.idle()


class UartPort:
    """One byte or -1, without allocating."""

    def __init__(self, uart):
        self._uart = uart
        self._byte = bytearray(1)
        self.write = uart.write

    def read(self):
        """Next byte, -1 when there is none."""
        if not self._uart.any() or not self._uart.readinto(self._byte):
            return -1
        return self._byte[0]


def make():
    """The board."""
    return Rp2()
