"""The clock across the wrap at 2^30."""

from kit import Ticks, run
from sniffer.clock import Clock, since


def test_time_goes_on_across_the_wrap():
    ticks = Ticks()
    clock = Clock(ticks.us, ticks.diff)
    passed = 0
    for step in (1, 999, 1000, 123456, 4_999_999, 400_000_000, 500_000_000, 17):
        ticks.advance(step)
        passed += step
        assert clock.ms() == passed // 1000
        assert clock.us() == passed


def test_fifty_days_wrap_at_32_bits():
    ticks = Ticks(0)
    clock = Clock(ticks.us, ticks.diff)
    total = 0
    while total < (1 << 32) * 1000 + 7_000_000:
        ticks.advance(500_000_000)
        clock.update()
        total += 500_000_000
    assert clock.ms() == (total // 1000) & 0xFFFFFFFF
    start = clock.ms()
    ticks.advance(3_000_000)
    assert since(clock, start) == 3000


def test_interval_across_the_32_bit_wrap():
    ticks = Ticks(0)
    clock = Clock(ticks.us, ticks.diff)
    clock.high = 0xFFFF
    clock.low = 0xFFFF
    start = clock.ms()
    ticks.advance(2_000)
    assert clock.ms() == 1
    assert since(clock, start) == 2


def test_bytes_are_the_number():
    ticks = Ticks()
    clock = Clock(ticks.us, ticks.diff)
    buffer = bytearray(6)
    ticks.advance(400_000_000)
    clock.write_ms(buffer, 1)
    assert int.from_bytes(buffer[1:5], "little") == 400_000 == clock.ms()


def test_a_counter_that_steps_back_does_not_undo_time():
    ticks = Ticks()
    clock = Clock(ticks.us, ticks.diff)
    ticks.advance(2500)
    assert clock.ms() == 2
    ticks.advance(-1)
    ticks.advance(-900)
    assert clock.ms() == 2


run(globals())
