"""NMEA 0183 and gpsd: positions only where there is a fix, with quality and age."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.gnss import FixTracker, GpsdReader, NmeaReader
from hardware.modems.interface import Arrival
from hardware.readings import FixQuality, FixReading, Item, Stamp, Unreadable
from hardware.recordings import read_recording


def at(seconds: float) -> Arrival:
    return Arrival(at_us=round(seconds * 1e6), time_basis="live")


def nmea(body: str) -> bytes:
    check = 0
    for byte in body.encode():
        check ^= byte
    return f"${body}*{check:02X}\r\n".encode()


def read(data: bytes) -> list[Item]:
    return NmeaReader(sensor="gnss0", file="tty").feed(data, at(0))


@pytest.mark.field_data
def test_recorded_sentences_without_a_fix_are_no_positions(field_data: Path) -> None:
    items = list(read_recording(field_data / "firmware" / "nmea_micropygps.txt"))
    # one sentence names 71 minutes of arc, which no angle has; every checksum is good
    assert [i.reason for i in items if isinstance(i, Unreadable)] == ["08671.4472 is no angle"]
    fixes = [i for i in items if isinstance(i, FixReading)]
    lines = (field_data / "firmware" / "nmea_micropygps.txt").read_text("ascii").splitlines()
    assert fixes
    for fix in fixes:
        cells = lines[int(fix.stamp.place.removeprefix("line ")) - 1].split(",")
        has_none = (cells[0][3:] == "GLL" and cells[6][:1] == "V") or (
            cells[0][3:] == "GGA" and cells[6] == "0"
        )
        if has_none:
            assert fix.position is None
            assert fix.quality is FixQuality.NONE
    first = fixes[0]
    assert first.position is not None
    assert first.position.lat == pytest.approx(37.391098, abs=1e-6)
    assert first.position.lon == pytest.approx(-122.037826, abs=1e-6)
    assert (first.quality, first.satellites, first.hdop) == (FixQuality.DIFFERENTIAL, 6, 1.2)


def test_the_date_of_rmc_dates_what_follows() -> None:
    rmc = nmea("GNRMC,120000.50,A,2500.000,N,10242.000,E,10.0,90.0,251126,,,A")
    gga = nmea("GNGGA,120001,2500.000,N,10242.000,E,4,12,0.7,1890,M,0,M,,")
    first, second = read(rmc + gga)
    assert isinstance(first, FixReading)
    assert isinstance(second, FixReading)
    assert (first.fix_us, second.fix_us) == (1_795_608_000_500_000, 1_795_608_001_000_000)
    assert first.speed_ms == pytest.approx(5.144, abs=0.001)
    assert second.quality is FixQuality.RTK


@pytest.mark.parametrize(
    "line",
    [
        b"$GPGGA,172814.0,3723.4,N,12202.2,W,2,6,1.2,18.8,M,-25.6,M,2.0,0031*00\r\n",
        b"$GPGGA,172814.0,3723.4,N,12202.2,W,2,6\r\n",
        nmea("GPGGA,172814.0,9923.4,N,12202.2,W,2,6,1.2,18.8,M,,,,"),
        nmea("GPGGA,172814.0,3763.4,N,12202.2,W,2,6,1.2,18.8,M,,,,"),
        nmea("GPGGA,992814.0,3723.4,N,12202.2,W,2,6,1.2,18.8,M,,,,"),
        nmea("GPGGA,172814.0,3723.4,Q,12202.2,W,2,6,1.2,18.8,M,,,,"),
        nmea("GPRMC,120000,A,2500.0,N,10242.0,E,x,0,251126,,,A"),
        nmea("GPRMC,120000,A,2500.0,N,10242.0,E,1,0,321326,,,A"),
    ],
)
def test_sentences_that_make_no_sense_cost_one_error(line: bytes) -> None:
    assert [type(item) for item in read(line)] == [Unreadable]


def test_zero_zero_is_no_position() -> None:
    (fix,) = read(nmea("GPGGA,120000,0000.000,N,00000.000,E,1,4,1.0,0,M,,,,"))
    assert isinstance(fix, FixReading)
    assert (fix.position, fix.quality) == (None, FixQuality.NONE)


def test_gpsd_reports_are_read() -> None:
    reader = GpsdReader(sensor="gnss0", file="gpsd")
    items = reader.feed(
        b'{"class":"VERSION"}\n{"class":"SKY","hdop":0.9,"uSat":11}\n'
        b'{"class":"TPV","mode":3,"status":2,"time":"2026-11-25T12:00:00.000Z","lat":25.0,"lon":102.7,'
        b'"speed":3.5}\n{"class":"TPV","mode":1,"lat":25.0,"lon":102.7}\n{"class":"TPV","mode":3,'
        b'"lat":NaN,"lon":1}\nnonsense\n[1]\n',
        at(0),
    )
    first, none, nan, *bad = items
    assert isinstance(first, FixReading)
    assert first.position is not None
    assert (first.quality, first.hdop, first.satellites) == (FixQuality.DIFFERENTIAL, 0.9, 11)
    assert first.fix_us == 1_795_608_000_000_000
    for item in (none, nan):
        assert isinstance(item, FixReading)
        assert item.position is None
    assert [type(item) for item in bad] == [Unreadable, Unreadable]


def test_a_stamp_says_how_good_and_how_old_its_position_is() -> None:
    tracker = FixTracker()
    reader = NmeaReader(sensor="gnss0", file="tty")

    def stamp(seconds: float) -> Stamp:
        moment = round(seconds * 1e6)
        return tracker.stamp(
            Stamp(at_us=moment, time_basis="live", sensor="s", file="f", place="p")
        )

    assert (stamp(0).position, stamp(0).fix) == (None, None)
    (fix,) = reader.feed(nmea("GPGGA,120000,2500.0,N,10242.0,E,1,9,1.1,0,M,,,,"), at(10))
    assert isinstance(fix, FixReading)
    tracker.note(fix)
    placed = stamp(12.5)
    assert placed.position == fix.position
    assert placed.fix is not None
    assert (placed.fix.quality, placed.fix.age_s, placed.fix.hdop) == (FixQuality.GNSS, 2.5, 1.1)
    # a tunnel: the sentence without a fix erases nothing, age does
    (none,) = reader.feed(nmea("GPGGA,120010,,,,,0,00,,,M,,M,,"), at(20))
    assert isinstance(none, FixReading)
    tracker.note(none)
    assert stamp(21).position == fix.position
    old = stamp(500)
    assert old.position is None
    assert old.fix is not None
    assert (old.fix.quality, old.fix.age_s) == (FixQuality.NONE, 490)
    (poor,) = reader.feed(nmea("GPGGA,120510,2600.0,N,10242.0,E,1,3,25.0,0,M,,,,"), at(501))
    assert isinstance(poor, FixReading)
    tracker.note(poor)
    assert stamp(501).position is None
    assert tracker.refused == 1


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=90),
            st.text("GPRMCGALN,.0123456789-ASVEW*", max_size=80).map(nmea),
            st.lists(st.text("0123456789.-NSEWAV", max_size=9), max_size=14).map(
                lambda cells: nmea("GPGGA," + ",".join(cells))
            ),
            st.lists(st.text("0123456789.-NSEWAV", max_size=9), max_size=14).map(
                lambda cells: nmea("GPRMC," + ",".join(cells))
            ),
        ),
        max_size=5,
    )
)
def test_any_sentences_never_raise(lines: list[bytes]) -> None:
    read(b"\n".join(lines) + b"\n")


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: t.encode("utf-8", "ignore")))
def test_any_reports_never_raise(noise: bytes) -> None:
    GpsdReader(sensor="g", file="f").feed(b'{"class":"TPV","lat":' + noise + b"}\n" + noise, at(0))
