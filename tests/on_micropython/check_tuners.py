"""The drivers against register-level models, and the field's bugs.

Each bug is shown twice: a naive program has it on the model, and the driver does not.
"""

from kit import raises, run
from sim.air import Air, SimulatedI2C, Station
from sim.rda5807 import Rda5807Model
from sim.si4703 import Si4703Model
from sim.si4735 import Si4735Model
from sniffer.clock import Clock
from sniffer.drivers import detect
from sniffer.drivers.bus import Bus, BusFault, TunerError, clock_free
from sniffer.drivers.rda5807 import Rda5807
from sniffer.drivers.si4703 import Si4703
from sniffer.drivers.si4735 import Si4735
from sniffer.drivers.tuner import AFC_RAIL, RELATIVE, STEREO, UNKNOWN, VALID, khz_of

FIRST = ((0x2010, 0x0540, 0xE0CD, 0x4142, 0), (0x2010, 0x0541, 0xE0CD, 0x4344, 0x04))
SECOND = ((0x3ABC, 0x2540, 0x1111, 0x2222, 0),)
BAD = ((0x9999, 0x0540, 0xE0CD, 0x4142, 0xC3), (0x9999, 0x9999, 0x9999, 0x9999, 0xFF))


class World:
    """Time that goes on by 100 us whenever a driver yields."""

    def __init__(self, stations=None):
        self.us = 0
        self.clock = Clock(lambda: self.us, lambda a, b: a - b)
        self.air = Air(stations or band(), lambda: self.us // 1000)

    def bus(self, *chips):
        self.i2c = SimulatedI2C(*chips)
        return Bus(self.i2c, self.i2c.clock_free)

    def drive(self, generator, limit_ms=5000):
        end = self.us + limit_ms * 1000
        while True:
            try:
                next(generator)
            except StopIteration as stop:
                return stop.value
            self.us += 100
            assert self.us < end, "the driver hangs"

    def wait(self, ms):
        self.us += ms * 1000

    def groups(self, tuner, ms):
        """All groups a driver gives within a time."""
        found = []
        for _ in range(ms // 10):
            self.wait(10)
            if self.drive(tuner.read_rds()):
                found.append((tuner.group[0], tuner.group_errors))
        return found


def band():
    return [
        Station(89300, 62, 38, True, FIRST, offset_khz=-3),
        Station(91500, 47, 20, False, SECOND),
        Station(101700, 33, 9, False, BAD),
    ]


def started(kind):
    world = World()
    if kind == "si4735":
        chip = Si4735Model(world.air)
        tuner = Si4735(world.bus(chip), 0x63, world.clock)
    elif kind == "si4703":
        chip = Si4703Model(world.air)
        tuner = Si4703(world.bus(chip), 0x10, world.clock)
    else:
        chip = Rda5807Model(world.air)
        tuner = Rda5807(world.bus(chip), 0x10, world.clock)
    world.drive(tuner.start())
    return world, chip, tuner


def test_every_tuner_finds_the_stations_and_nothing_else():
    for kind in ("si4735", "si4703", "rda5807"):
        world, chip, tuner = started(kind)
        found = []
        for khz in range(87000, 108001, 100):
            world.drive(tuner.tune(khz))
            assert tuner.khz == khz
            if tuner.level > 20:
                found.append((khz, tuner.level, bool(tuner.flags & VALID)))
        assert found == [(89300, 62, True), (91500, 47, True), (101700, 33, True)], kind
        assert chip.tunes == 211


def test_what_each_chip_can_say():
    world, _, tuner = started("si4735")
    world.drive(tuner.tune(89300))
    world.drive(tuner.measure())
    assert (tuner.level, tuner.snr_db, tuner.multipath, tuner.offset_khz) == (62, 38, 5, -3)
    assert tuner.flags == VALID | STEREO
    for kind, extra in (("si4703", 0), ("rda5807", RELATIVE)):
        world, _, tuner = started(kind)
        world.drive(tuner.tune(89300))
        assert (tuner.snr_db, tuner.offset_khz) == (UNKNOWN, -128)
        assert tuner.flags == VALID | STEREO | extra
        assert not tuner.flags & AFC_RAIL


def test_rds_groups_come_once_each():
    for kind, errors in (("si4735", (0, 4)), ("si4703", (0, 4)), ("rda5807", (5, 5))):
        world, _, tuner = started(kind)
        world.drive(tuner.tune(89300))
        groups = world.groups(tuner, 900)
        assert 9 <= len(groups) <= 11, (kind, len(groups))
        assert {g[0] for g in groups} == {0x2010}
        assert {g[1] for g in groups} == set(errors), kind


# -- the field's bugs ------------------------------------------------------------------------------


def test_bug_1_stale_seek_starts_a_seek_with_a_change_of_volume():
    world, chip, tuner = started("rda5807")
    world.drive(tuner.tune(89300))
    world.drive(tuner.set_volume(7))
    world.wait(200)
    world.drive(tuner.measure())
    assert tuner.khz == 89300
    assert chip.seeks == 0
    naive = 0xC101  # a copy of 02h that kept SEEK
    world.i2c.writeto(0x11, bytes((2, naive >> 8, naive & 0xFF)))
    world.wait(200)
    chip.read(0x10, bytearray(12))
    world.i2c.writeto(0x11, bytes((2, (naive | 0x1000) >> 8, naive & 0xFF)))  # bass on
    assert chip.seeks == 2
    # a chip left seeking by another program is quiet after a start of ours
    world.drive(tuner.start())
    world.drive(tuner.tune(89300))
    world.drive(tuner.set_volume(3))
    world.wait(200)
    world.drive(tuner.measure())
    assert (tuner.khz, chip.seeks) == (89300, 2)
    world, chip, tuner = started("si4703")
    world.drive(tuner.tune(91500))
    world.drive(tuner.set_volume(9))
    world.wait(200)
    world.drive(tuner.measure())
    assert (tuner.khz, chip.seeks, chip.tunes) == (91500, 0, 1)


def test_bug_2_a_bus_of_all_ones_is_not_a_station():
    for kind in ("si4735", "si4703", "rda5807"):
        world, _, tuner = started(kind)
        world.drive(tuner.tune(89300))
        world.i2c.is_all_ones = True
        raises(BusFault, world.drive, tuner.measure())
        raises(BusFault, world.drive, tuner.tune(91500))
        raises(BusFault, world.drive, tuner.read_rds())
        assert tuner.khz == 89300
    assert 87000 + 0x3FF * 100 == 189300  # what the naive conversion says
    raises(TunerError, khz_of, 0x3FF)


def test_bug_3_an_answer_at_0x60_is_not_a_tea5767():
    world = World()
    bus = world.bus(Rda5807Model(world.air))
    assert 0x60 in bus.scan()
    assert detect.find(bus, world.clock).KIND == 3
    world = World()
    assert detect.find(world.bus(Si4703Model(world.air)), world.clock).KIND == 2
    for address in (0x63, 0x11):
        world = World()
        bus = world.bus(Si4735Model(world.air, address=address))
        tuner = detect.find(bus, world.clock)
        world.drive(tuner.start())
        assert (tuner.KIND, tuner.part) == (1, 35)

    class Tea5767Model:
        ADDRESSES = (0x60,)

        def write(self, _address, _data):
            pass

        def read(self, _address, buffer):
            buffer[0] = 0x80

    assert detect.find(World().bus(Tea5767Model()), world.clock) is None


def test_bug_4_uncorrectable_blocks_are_not_data():
    for kind in ("si4735", "si4703"):
        world, _, tuner = started(kind)
        world.drive(tuner.tune(101700))
        world.wait(100)
        groups = []
        for _ in range(60):
            world.wait(10)
            if world.drive(tuner.read_rds()):
                groups.append((list(tuner.group), tuner.group_errors))
        # the group whose blocks are all bad is no group; of the other A and D are unusable
        assert groups
        for blocks, errors in groups:
            assert errors == 0xC3
            assert blocks == [0, 0x0540, 0xE0CD, 0]
    world, _, tuner = started("rda5807")
    world.drive(tuner.tune(101700))
    for pi, errors in world.groups(tuner, 600):
        assert pi == 0, "the naive reader takes 9999 for a PI"
        assert errors >> 6 == 3


def test_bug_5_no_group_of_the_station_before():
    for kind in ("si4735", "si4703", "rda5807"):
        world, chip, tuner = started(kind)
        world.drive(tuner.tune(89300))
        world.wait(300)
        chip.write(0x10, b"") if kind != "si4735" else chip._hear()
        world.drive(tuner.tune(91500))
        assert {g[0] for g in world.groups(tuner, 500)} == {0x3ABC}, kind
        world.drive(tuner.tune(95000))
        assert world.groups(tuner, 500) == [], kind
    # the naive program, which leaves RDS on, still reads 2010 at 95 MHz
    world, chip, tuner = started("rda5807")
    world.drive(tuner.tune(89300))
    world.wait(300)
    assert world.groups(tuner, 100)
    channel = (95000 - 76000) // 50
    word = channel << 6 | 0x1A
    world.i2c.writeto(0x11, bytes((3, word >> 8, word & 0xFF)))
    world.wait(100)
    status = bytearray(12)
    world.i2c.readfrom_into(0x10, status)
    assert status[0] & 0x80
    assert status[4] << 8 | status[5] == 0x2010


def test_bug_6_a_first_start_that_fails_is_tried_again():
    world = World()
    chip = Si4703Model(world.air, bad_starts=2)
    bus = world.bus(chip)
    tuner = detect.find(bus, world.clock)
    world.drive(tuner.start())
    world.drive(tuner.tune(89300))
    assert tuner.level == 62
    world = World()
    chip = Si4735Model(world.air, bad_starts=2)
    tuner = Si4735(world.bus(chip), 0x63, world.clock)
    world.drive(tuner.start())
    world.drive(tuner.tune(89300))
    assert tuner.level == 62
    world = World()
    tuner = Si4703(world.bus(Si4703Model(world.air, bad_starts=9)), 0x10, world.clock)
    raises(BusFault, world.drive, tuner.start())
    # the naive start, without the half second for the oscillator, leaves all ones
    world = World()
    chip = Si4703Model(world.air)
    world.bus(chip)
    world.i2c.writeto(0x10, bytes((0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0)))
    world.i2c.writeto(0x10, b"\x40\x01")
    status = bytearray(12)
    world.i2c.readfrom_into(0x10, status)
    assert status == b"\xff" * 12


def test_bug_7_a_held_bus_is_clocked_free():
    world = World()
    bus = world.bus(Rda5807Model(world.air))
    world.i2c.is_stuck = True
    tuner = detect.find(bus, world.clock)
    assert tuner.KIND == 3
    assert bus.recoveries == 1
    world.i2c.is_stuck = True
    world.drive(tuner.start())
    assert bus.recoveries == 2
    levels = []

    def pin(name):
        return lambda value: levels.append((name, value))

    clock_free(pin("scl"), pin("sda"), lambda us: 0)
    assert levels.count(("scl", 0)) == levels.count(("scl", 1)) == 9
    assert levels[-2:] == [("sda", 0), ("sda", 1)]  # SDA rises while SCL is high: a STOP


def test_a_chip_that_never_finishes_is_an_error_not_a_hang():
    for kind in ("si4735", "si4703", "rda5807"):
        world, _, tuner = started(kind)
        world.air.tune_ms = 10_000_000
        raises(TunerError, world.drive, tuner.tune(89300))


def test_a_chip_that_is_gone_is_a_bus_fault():
    for kind in ("si4735", "si4703", "rda5807"):
        world, _, tuner = started(kind)
        world.i2c.is_gone = True
        raises(BusFault, world.drive, tuner.tune(89300))
        assert tuner._bus.faults


def test_frequencies_outside_the_band_are_refused():
    for kind in ("si4735", "si4703", "rda5807"):
        world, _, tuner = started(kind)
        for khz in (0, 50000, 189300, 89301):
            raises(ValueError, world.drive, tuner.tune(khz))


def test_another_part_is_not_driven():
    world = World()
    tuner = Si4735(world.bus(Si4735Model(world.air, part=13)), 0x63, world.clock)
    raises(TunerError, world.drive, tuner.start())


run(globals())
