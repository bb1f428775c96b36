"""Logs of terminal programs: times and arrows before the lines of a modem."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.families import family_of, read_log
from hardware.modems.stamps import unstamp
from hardware.readings import CellReading

CELL = 'LTE","FDD",460,01,9A3150B,217,1650,3,5,5,52A1,-92,-9,-65,15,38'
ANSWER = f'+QENG: "servingcell","NOCONN","{CELL}'
NOON_US = int(dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000

FORMS = {
    "2026-11-25 12:00:0{n}.250 ": "recorded",
    "2026-11-25T12:00:0{n}.250Z ": "recorded",
    "2026/11/25 20:00:0{n},250 +0800: ": "recorded",
    "[2026-11-25 12:00:0{n}.250] <- ": "recorded",
    f"{NOON_US // 1_000_000 - 10}" + ".250: ": "recorded",
    "[12:00:0{n}.250] ": "synthetic",
    "12:00:0{n}.250 RX: ": "synthetic",
    "12:00:0{n}.250 --> ": "synthetic",
}


def log(form: str, rounds: int = 3) -> bytes:
    lines = []
    for n in range(rounds):
        stamp = form.format(n=n)
        lines += [f"{stamp}{text}\r\n" for text in ('AT+QENG="servingcell"', ANSWER, "OK")]
    return "".join(lines).encode()


def cells(content: bytes, start_us: int | None = None) -> list[CellReading]:
    family = family_of(content[:4096])
    assert family == "quectel"
    found = [i for i in read_log(family, content, "f", "s", start_us) if isinstance(i, CellReading)]
    assert len(found) == 3
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_stamped_log_is_known_and_read_like_the_bare_one(form: str) -> None:
    found, bare = cells(log(form)), cells(log(""))
    assert {c.stamp.time_basis for c in found} == {FORMS[form]}
    assert [c.raw for c in found] == [c.raw for c in bare]
    assert [c.stamp.place for c in found] == [c.stamp.place for c in bare]


def test_dates_are_taken_with_their_zone() -> None:
    for form in ("2026-11-25 12:00:0{n}.250 ", "2026/11/25 20:00:0{n},250 +0800: "):
        assert [c.stamp.at_us for c in cells(log(form))] == [
            NOON_US + n * 1_000_000 + 250_000 for n in range(3)
        ]


def test_times_without_a_date_keep_their_distances_over_midnight() -> None:
    content = log("").splitlines(keepends=True)
    clocks = ["23:59:58.5"] * 3 + ["23:59:59.5"] * 3 + ["00:00:00.5"] * 3
    stamped = b"".join(f"[{c}] ".encode() + line for c, line in zip(clocks, content, strict=True))
    times = [c.stamp.at_us for c in cells(stamped)]
    assert [b - a for a, b in itertools.pairwise(times)] == [1_000_000, 1_000_000]
    started = cells(stamped, NOON_US)
    assert [c.stamp.at_us - NOON_US for c in started] == [0, 1_000_000, 2_000_000]
    assert started[0].stamp.time_basis == "recorded"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        log(""),
        b"1018,21,-73,0,222,01,54717,14887,CELL_SUITABLE,0\n",
        b"1700000000,21,-73,0\n",
        b'+CMT: "95588",,"26/11/25,10:00:00+32"\nhello\n',
    ],
)
def test_a_log_without_stamps_stays_as_it_is(content: bytes) -> None:
    assert unstamp(content) is None


@given(
    st.lists(st.sampled_from([b"[", b"12:00:00", b"2026-11-25 ", b"99:99:99", b"]", b"\n", b"x"]))
)
def test_any_bytes_are_taken_apart_line_by_line(parts: list[bytes]) -> None:
    content = b"".join(parts)
    found = unstamp(content)
    if found is not None:
        assert len(found.times_us) == len(content.splitlines())
        assert len(found.content.splitlines()) == len(found.times_us)
