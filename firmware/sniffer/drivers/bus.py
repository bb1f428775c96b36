"""An I2C bus that counts its faults, and the way to free it when a chip holds SDA low."""


class BusFault(Exception):
    """A transfer that failed, or a device whose every bit reads one."""


class TunerError(Exception):
    """A tuner that answers, but not as it should."""


class Bus:
    """Transfers with one error type.

    An unpowered chip behind pull-up resistors can read as all ones: as a channel number that is
    189.3 MHz (mathertel/Radio issue 55), so it is a fault, not data.
    """

    def __init__(self, i2c, free=None):
        self._i2c = i2c
        self._free = free
        self.faults = 0
        self.recoveries = 0

    def write(self, address, data):
        """Send ``data``; BusFault when nobody takes it."""
        try:
            self._i2c.writeto(address, data)
        except OSError as error:
            self._fail(address, error)

    def read_into(self, address, buffer):
        """Fill ``buffer``; BusFault when nobody answers, or all ones come."""
        try:
            self._i2c.readfrom_into(address, buffer)
        except OSError as error:
            self._fail(address, error)
        self._refuse_all_ones(address, buffer)

    def read_register_into(self, address, register, buffer):
        """Fill ``buffer`` from a numbered register on; same faults."""
        try:
            self._i2c.readfrom_mem_into(address, register, buffer)
        except OSError as error:
            self._fail(address, error)
        self._refuse_all_ones(address, buffer)

    def scan(self):
        """Addresses that acknowledge; none when the bus hangs."""
        try:
            return self._i2c.scan()
        except OSError:
            self.faults += 1
            return []

    def recover(self):
        """Clock the bus free; a chip stopped in the middle of a byte then lets go of SDA."""
        self.recoveries += 1
        if self._free is not None:
            self._free()

    def _fail(self, address, error):
        self.faults += 1
        raise BusFault("0x%02x: %s" % (address, error))

    def _refuse_all_ones(self, address, buffer):
        for byte in buffer:
            if byte != 0xFF:
                return
        self.faults += 1
        raise BusFault("0x%02x: all ones" % address)


def clock_free(scl, sda, sleep_us):
    """Nine clocks and a STOP on open-drain pins (I2C specification UM10204, section 3.1.16)."""
    sda(1)
    for _ in range(9):
        scl(0)
        sleep_us(5)
        scl(1)
        sleep_us(5)
    sda(0)
    sleep_us(5)
    sda(1)
    sleep_us(5)
