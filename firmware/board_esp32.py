"""ESP32-S3: its pins; the rest is as on the first board.

Wiring: I2C0 on GPIO8 (SDA) and GPIO9 (SCL), tuner reset on GPIO10, modem on UART1 GPIO17 (TX) and
GPIO18 (RX).
"""

from board_rp2 import Rp2


class Esp32(Rp2):
    """The second board."""

    NAME = "esp32s3"
    SDA = 8
    SCL = 9
    RESET = 10
    UART_TX = 17
    UART_RX = 18


def make():
    """The board."""
    return Esp32()
