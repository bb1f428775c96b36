"""The monthly columns: from printed detections and the crews' own figures."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qianshao.rf_month import _case, add_arguments, run

HEADER = (
    "period,black_broadcast_cases,aviation_cases,fake_bts_cases,vans,devices,staff,"
    "hours_black_broadcast,sets"
)


def line(
    alert: str | None, track: str, first_seen: str, time_basis: str = "recorded"
) -> dict[str, object]:
    return {
        "alert": alert,
        "track_id": track,
        "first_seen": first_seen,
        "time_basis": time_basis,
    }


def month(folder: Path, *records: object, work: str | None = None) -> tuple[int, list[str], str]:
    path = folder / "found.jsonl"
    texts = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    words = [str(path)]
    if work is not None:
        (folder / "work.csv").write_text(work, encoding="utf-8")
        words += ["--work", str(folder / "work.csv")]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    out, err = io.StringIO(), io.StringIO()
    status = run(parser.parse_args(words), out, err)
    return status, out.getvalue().splitlines(), err.getvalue()


def test_a_track_is_one_case_of_the_local_month_in_which_it_began(tmp_path: Path) -> None:
    fm, aero = "BLACK_BROADCAST_SUSPECTED", "AERONAUTICAL_INTERFERENCE"
    status, rows, err = month(
        tmp_path,
        line(fm, "fm/98.5", "2026-06-30T15:59:59Z"),
        line(fm, "fm/98.5", "2026-06-30T16:00:00Z"),
        line(fm, "fm/98.5", "2026-07-03T00:00:00Z"),
        line(aero, "air/118.7", "2026-07-03T00:00:00Z"),
        line("FAKE_BTS_SUSPECTED", "a", "2026-07-03T00:00:00Z"),
        line("FAKE_BTS_CONFIRMED", "a", "2026-07-03T00:00:00Z"),
        line("GOIP_DEN_SUSPECTED", "den", "2026-07-03T00:00:00Z"),
        line(None, "fm/99", "2026-07-03T00:00:00Z"),
        line(fm, "fm/97", "1970-01-01T00:00:00Z", "synthetic"),
        work="period,vans,hours_black_broadcast\n2026-07,1761,153191.5\n2026-08,2,\n",
    )
    assert status == 0
    assert rows == [
        HEADER,
        "2026-06,1,0,0,,,,,",
        "2026-07,1,1,1,1761,,,153191.5,",
        "2026-08,0,0,0,2,,,,",
    ]
    assert err == "1 alerts have no date and belong to no month\n"


def test_bad_lines_are_told_by_number_and_the_rest_counts(tmp_path: Path) -> None:
    status, rows, err = month(
        tmp_path,
        "{",
        "[]",
        line("NO_SUCH", "a", "2026-07-03T00:00:00Z"),
        line("FAKE_BTS_SUSPECTED", "a", "2026-07-03T00:00:00"),
        line("FAKE_BTS_SUSPECTED", "a", "2026-07-03T00:00:00Z"),
        work="period,vans,staff\n2026-13,1,1\n2026-07,many,5\n2026-07,1,1\n",
    )
    assert status == 3
    assert rows[1:] == ["2026-07,0,0,1,,,5,,"]
    for place in ("jsonl: line 1", "line 2", "line 3", "line 4", "csv: line 2", "line 3: vans"):
        assert place in err
    assert "2026-07 was told already" in err


def test_what_cannot_be_used_at_all_is_a_usage_error(tmp_path: Path) -> None:
    status, rows, err = month(tmp_path, work="month,vans\n2026-07,1\n")
    assert (status, rows) == (2, [])
    assert "no column period" in err


@given(st.text() | st.dictionaries(st.text(), st.text() | st.integers()).map(json.dumps))
def test_no_line_breaks_the_reader(text: str) -> None:
    try:
        _case(text)
    except (ValueError, KeyError, TypeError, RecursionError):
        return
