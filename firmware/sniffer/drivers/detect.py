"""Find out which tuner is on the bus, by what it says and not by where it answers.

The RDA5807M acknowledges 0x10, 0x11 and 0x60, the Si4703 0x10, the Si4735 0x11 or 0x63, the
TEA5767 0x60: an address alone identifies nobody (pu2clr/RDA5807 issue 24).
"""

from sniffer.drivers import rda5807, si4703, si4735
from sniffer.drivers.bus import BusFault


def find(bus, clock):
    """A driver for the tuner that is there, None without one; not started yet."""
    seen = bus.scan()
    if not seen:
        bus.recover()
        seen = bus.scan()
    if rda5807.INDEXED in seen and _register(bus, rda5807.INDEXED, 0x00) >> 8 == rda5807.CHIP_ID:
        return rda5807.Rda5807(bus, rda5807.SEQUENTIAL, clock)
    if si4703.ADDRESS in seen and _is_si4703(bus):
        return si4703.Si4703(bus, si4703.ADDRESS, clock)
    for address in si4735.ADDRESSES:
        if address in seen:
            # It says its part number only once powered up: start() verifies it.
            return si4735.Si4735(bus, address, clock)
    return None


def _register(bus, address, register):
    word = bytearray(2)
    try:
        bus.read_register_into(address, register, word)
    except BusFault:
        return 0
    return word[0] << 8 | word[1]


def _is_si4703(bus):
    registers = bytearray(32)
    try:
        bus.read_into(si4703.ADDRESS, registers)
    except BusFault:
        return True  # all ones: its state after a bad start; start() verifies the id and retries
    return registers[12] << 8 | registers[13] == si4703.DEVICE_ID
