"""``rf replay``: what it prints where, how it ends, and what it finds in recorded field data."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hardware.readings import (
    CellReading,
    Direction,
    Item,
    NasReading,
    NasType,
    Rat,
    Stamp,
    Unreadable,
)
from hardware.recordings import read_recording
from qianshao.replay import add_arguments, main_replay, run
from rf_watch import CellWatch
from rf_watch.authentication import GOOD_AUTHENTICATIONS

FIELDS = {
    "schema",
    "kind",
    "subkind",
    "level",
    "severity",
    "alert",
    "score",
    "reasons",
    "rivals",
    "first_seen",
    "last_seen",
    "time_basis",
    "track_id",
    "subject",
    "source",
}


def stamp(path: Path, number: int, start_us: int | None) -> Stamp:
    return Stamp(
        at_us=(start_us or 0) + number * 1_000_000,
        time_basis="synthetic" if start_us is None else "recorded",
        sensor="replay",
        file=path.name,
        place=f"packet {number}",
    )


def failures(path: Path, start_us: int | None) -> Iterator[Item]:
    """A run of three MAC failures, one damaged packet and one of a kind passed over."""
    for number in (1, 2, 3):
        yield NasReading(
            stamp=stamp(path, number, start_us),
            raw=b"\x07\x5c\x14",
            type=NasType.AUTHENTICATION_FAILURE,
            direction=Direction.UPLINK,
            cause=20,
        )
    yield Unreadable(file=path.name, place="packet 4", reason="GSMTAP version 3", is_damage=False)


def damaged(path: Path, start_us: int | None) -> Iterator[Item]:
    yield from failures(path, start_us)
    yield Unreadable(file=path.name, place="packet 5", reason="cut \x1b[31mshort", raw=b"SECRET")


def twin_cells(path: Path, start_us: int | None) -> Iterator[Item]:
    for number, plmn in enumerate(["460-11", "460-01"]):
        yield CellReading(
            stamp=stamp(path, number, start_us),
            raw=b"",
            rat=Rat.NR,
            is_serving=False,
            plmns=(plmn,),
            channel=633984,
            cell_id=0x690133003,
            physical_id=441,
        )


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def recording(folder: Path, name: str = "one.pcap") -> str:
    path = folder / name
    path.write_bytes(b"")
    return str(path)


def test_json_has_one_final_detection_per_line_with_the_agreed_fields(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    paths = [recording(tmp_path), recording(tmp_path, "two.pcap")]
    assert run(arguments(*paths, "--json"), failures, out, err) == 0
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == 2
    for line, path in zip(lines, paths, strict=True):
        assert set(line) >= FIELDS
        assert line["schema"] == "qianshao.detection/1"
        assert (line["kind"], line["alert"]) == ("fake_base_station", "FAKE_BTS_SUSPECTED")
        assert line["source"] == {"file": Path(path).name, "place": "packet 1-3"}
        assert (line["time_basis"], line["first_seen"]) == (
            "synthetic",
            "1970-01-01T00:00:01.000000Z",
        )
        assert line["reasons"][0]["values"]["runs"] == "3"
        assert line["fired_at"] is None
    assert lines[0]["detection_id"] != lines[1]["detection_id"]
    assert "2 files, 6 readings, 2 detections, 2 alerts, 0 unreadable" in err.getvalue()
    assert "2 passed over" in err.getvalue()


def test_plain_words_say_what_where_and_why_on_one_line(tmp_path: Path) -> None:
    out = io.StringIO()
    run(arguments(recording(tmp_path)), failures, out, io.StringIO())
    (line,) = out.getvalue().splitlines()
    assert line.startswith("suspected fake base station, alert FAKE_BTS_SUSPECTED (high)")
    for part in ("one.pcap packet 1-3", "refused the network's authentication", "SIM_OR_HSS_FAULT"):
        assert part in line


def test_start_time_is_given_to_the_reader(tmp_path: Path) -> None:
    out = io.StringIO()
    words = [recording(tmp_path), "--json", "--at", "2024-05-06T07:08:09+08:00"]
    assert run(arguments(*words), failures, out, io.StringIO()) == 0
    assert json.loads(out.getvalue())["first_seen"] == "2024-05-05T23:08:10.000000Z"


def test_damage_is_told_with_its_place_and_ends_with_3(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    assert run(arguments(recording(tmp_path)), damaged, out, err) == 3
    assert "one.pcap: packet 5: cut \\x1b[31mshort\n" in err.getvalue()
    assert "SECRET" not in out.getvalue() + err.getvalue()
    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize("at", ["yesterday", "2024-13-01", "", "0001-01-01", "9999-12-31"])
def test_a_bad_start_time_is_a_usage_error_that_names_the_option(tmp_path: Path, at: str) -> None:
    err = io.StringIO()
    words = [recording(tmp_path), "--at", at]
    assert run(arguments(*words), failures, io.StringIO(), err) == 2
    assert err.getvalue().startswith("--at: ")


def test_a_folder_is_told_apart_from_a_missing_file(tmp_path: Path) -> None:
    err = io.StringIO()
    assert run(arguments(str(tmp_path)), failures, io.StringIO(), err) == 2
    assert "is a folder, name its files" in err.getvalue()


def test_a_missing_file_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    words = [recording(tmp_path), str(tmp_path / "none.pcap")]
    assert run(arguments(*words), failures, out, err) == 2
    assert "none.pcap: no such file" in err.getvalue()
    assert out.getvalue() == ""


def test_shared_cells_say_nothing(tmp_path: Path) -> None:
    out = io.StringIO()
    assert run(arguments(recording(tmp_path), "--json"), twin_cells, out, io.StringIO()) == 0
    assert out.getvalue() == ""


# -- recorded field data ------------------------------------------------------------------------


def replay(paths: Sequence[Path], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main_replay(arguments(*map(str, paths), "--json"))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.field_data
@pytest.mark.parametrize(
    ("name", "runs", "failures"),
    [("exp1", "4,4,4", 12), ("exp2", "4,4", 8), ("exp3", "24", 24)],
)
def test_recorded_attacks_alert(
    field_data: Path, capsys: pytest.CaptureFixture[str], name: str, runs: str, failures: int
) -> None:
    path = field_data / "cellular" / "attack_nas" / f"{name}_nas.pcap"
    code, out, err = replay([path], capsys)
    assert code == 0, err
    (line,) = [json.loads(text) for text in out.splitlines()]
    assert (line["kind"], line["alert"]) == ("fake_base_station", "FAKE_BTS_SUSPECTED")
    assert line["severity"] == "high"
    reason = line["reasons"][0]
    assert reason["rule"] == "EMM-AUTH-MAC-FAILURE-RUN"
    assert (reason["values"]["runs"], reason["values"]["failures"]) == (runs, failures)
    assert "001010123456789" not in out + err
    assert replay([path], capsys) == (code, out, err)


@pytest.mark.field_data
@pytest.mark.parametrize("name", ["exp1", "exp2", "exp3"])
def test_recorded_attacks_alert_at_the_second_failure(field_data: Path, name: str) -> None:
    path = field_data / "cellular" / "attack_nas" / f"{name}_nas.pcap"
    watch, run, second_us, alert_us = CellWatch("van-01"), 0, None, None
    for item in read_recording(path):
        assert isinstance(item, NasReading)
        if item.type in GOOD_AUTHENTICATIONS:
            run = 0
        run += item.cause == 20
        if run == 2 and second_us is None:
            second_us = item.stamp.at_us
        if alert_us is None and any(found.alert for found in watch.feed(item)):
            alert_us = item.stamp.at_us
    assert second_us is not None
    assert alert_us is not None
    assert 0 <= alert_us - second_us <= 10_000_000


@pytest.mark.field_data
@pytest.mark.parametrize("pattern", ["benign/*.pcap", "gsm_l2/*.pcap", "modem_logs/*.txt"])
def test_recorded_ordinary_networks_do_not_alert(
    field_data: Path, capsys: pytest.CaptureFixture[str], pattern: str
) -> None:
    paths = sorted((field_data / "cellular").glob(pattern))
    assert paths
    code, out, err = replay(paths, capsys)
    assert code in {0, 3}, err
    assert [
        json.loads(text)["alert"] for text in out.splitlines() if '"alert": null' not in text
    ] == []
    assert " 0 readings" not in err


# -- what a deployment knows ----------------------------------------------------------------------

PLAN_HEADER = (
    "rat,plmn,channel,lac_tac,ci,pci,lat,lon,cro_db,penalty_time,t3212_decihours,"
    "valid_from,valid_to\n"
)
REGISTER_HEADER = "plate,unit,rat,plmn,channel,lac_tac,ci,valid_from,valid_to\n"


def odd_cell(path: Path, start_us: int | None) -> Iterator[Item]:
    """An unplanned LAC with an extreme offset, twice."""
    for number in (1, 2):
        yield CellReading(
            stamp=stamp(path, number, start_us),
            raw=b"",
            rat=Rat.GSM,
            is_serving=True,
            plmns=("460-00",),
            channel=8,
            lac_tac=64001,
            cell_id=2,
            cro_db=126,
        )


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_plan_and_the_register_are_asked(tmp_path: Path) -> None:
    plan = written(tmp_path, "plan.csv", PLAN_HEADER + "GSM,460-00,20,20481,30511,,,,30,,,,\n")
    cars = REGISTER_HEADER + "E-TEST9,MU,GSM,460-00,8,64001,2,,\n"
    register = written(tmp_path, "register.csv", cars)
    words = [recording(tmp_path), "--json", "--plan", plan]
    out = io.StringIO()
    assert run(arguments(*words), odd_cell, out, io.StringIO()) == 0
    found = json.loads(out.getvalue())
    assert found["alert"] == "FAKE_BTS_SUSPECTED"
    assert {r["rule"] for r in found["reasons"]} == {"LAC_NOT_IN_PLAN", "CRO_EXTREME"}
    out = io.StringIO()
    assert run(arguments(*words, "--register", register), odd_cell, out, io.StringIO()) == 0
    assert json.loads(out.getvalue())["alert"] is None
    assert "E-TEST9" in out.getvalue()


def test_a_network_declared_off_is_suspected(tmp_path: Path) -> None:
    out = io.StringIO()
    words = [recording(tmp_path), "--json", "--gsm-off", "460-00"]
    assert run(arguments(*words), odd_cell, out, io.StringIO()) == 0
    assert json.loads(out.getvalue())["reasons"][0]["rule"] == "GSM-AFTER-SUNSET"


def test_a_bad_row_of_the_plan_is_told_with_its_line_and_the_rest_is_used(tmp_path: Path) -> None:
    rows = "GSM,460-00,x,20481,30511,,,,30,,,,\nGSM,460-00,20,20481,30511,,,,30,,,,\n"
    plan = written(tmp_path, "plan.csv", PLAN_HEADER + rows)
    out, err = io.StringIO(), io.StringIO()
    words = [recording(tmp_path), "--json", "--plan", plan]
    assert run(arguments(*words), odd_cell, out, err) == 3
    assert "plan.csv: line 2: channel 'x' is no whole number\n" in err.getvalue()
    assert json.loads(out.getvalue())["alert"] == "FAKE_BTS_SUSPECTED"


@pytest.mark.parametrize(
    ("option", "text"),
    [("--plan", "a,b\n"), ("--register", ""), ("--baseline", "{}"), ("--baseline", "[")],
)
def test_an_unusable_table_is_a_usage_error_that_names_it(
    tmp_path: Path, option: str, text: str
) -> None:
    err = io.StringIO()
    words = [recording(tmp_path), option, written(tmp_path, "table", text)]
    assert run(arguments(*words), odd_cell, io.StringIO(), err) == 2
    assert f"{option}: " in err.getvalue()
    words[-1] = str(tmp_path / "missing")
    assert run(arguments(*words), odd_cell, io.StringIO(), err) == 2


@pytest.mark.field_data
@pytest.mark.parametrize(("name", "mhz"), [("nhkfm3", 88.1), ("cocolo3", 76.5)])
def test_recorded_broadcasts_are_found_and_nobody_is_suspected_without_a_list(
    field_data: Path, capsys: pytest.CaptureFixture[str], name: str, mhz: float
) -> None:
    path = field_data / "fm" / "jj1bdx" / f"{name}.csv"
    code, out, err = replay([path], capsys)
    (line,) = [json.loads(text) for text in out.splitlines()]
    assert (code, line["subject"]["mhz"], line["alert"]) == (0, mhz, None)
    assert f"{mhz:.3f} MHz" in err
    assert replay([path], capsys) == (code, out, err)


@pytest.mark.field_data
def test_a_recorded_broadcast_outside_the_list_is_suspected_after_the_dwell_a_crew_asks_for(
    field_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    licences = tmp_path / "list.csv"
    licences.write_text("mhz,name\n91.8,other\nhello,bad\n")
    path = str(field_data / "fm" / "jj1bdx" / "nhkfm3.csv")
    words = [path, "--json", "--licences", str(licences)]
    assert main_replay(arguments(*words)) == 3  # a line of the list could not be read
    said = capsys.readouterr()
    assert json.loads(said.out)["level"] == "observed"
    assert "list.csv: line 3: no frequency in 'hello'" in said.err
    main_replay(arguments(*words, "--set", "fm.continuous_s=200"))
    line = json.loads(capsys.readouterr().out)
    assert (line["alert"], line["subkind"]) == ("BLACK_BROADCAST_SUSPECTED", "UNLICENSED")
    licences.write_text("mhz,name\n88.1,NHK-FM\n")
    main_replay(arguments(*words, "--set", "fm.continuous_s=200"))
    said = capsys.readouterr()
    assert said.out == ""
    assert "NHK-FM" in said.err


@pytest.mark.field_data
def test_a_recorded_tuner_names_its_station(
    field_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = replay([field_data / "fm" / "tef6686_serial_oe1_redsea_mit.txt"], capsys)
    line = json.loads(out)
    assert (code, line["alert"], line["subject"]["pi"]) == (0, None, "A201")
    assert line["reasons"][0]["values"]["radiotext"].startswith("Ö1 Service: Tel. (01) 501 70 371")
    assert "PI A201" in err


@pytest.mark.field_data
def test_recorded_sweeps_outside_the_broadcast_band_say_nothing(
    field_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted((field_data / "fm").glob("*.npy")) + sorted((field_data / "fm").glob("*.bin"))
    code, out, err = replay(paths, capsys)
    assert (code, out) == (0, "")
    assert "3 files, 103 readings" in err


def test_local_time_moves_the_times_that_a_recording_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    bins = [-90.0] * 200
    bins[48:53] = [-60.0, -50.0, -48.0, -50.0, -60.0]
    levels = ", ".join(f"{level + n % 3 / 10:.2f}" for n, level in enumerate(bins))
    rows.write_text(
        "".join(
            f"2026-11-25, 20:00:{s:02d}, 95000000, 105000000, 50000, 20, {levels}\n"
            for s in range(8)
        )
    )
    assert main_replay(arguments(str(rows), "--json", "--utc-offset", "+08:00")) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["first_seen"] == "2026-11-25T12:00:00.000000Z"
    assert line["subject"]["mhz"] == 97.5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--fm-band", "88"], "--fm-band: "),
        (["--fm-band", "108-88"], "fm.band_high_mhz"),
        (["--utc-offset", "8"], "--utc-offset: "),
        (["--set", "fm.nothing=1"], "fm.nothing"),
        (["--set", "fm.continuous_s"], "--set: "),
        (["--licences", "/nowhere/list.csv"], "--licences: list.csv: "),
    ],
)
def test_bad_broadcast_options_are_usage_errors_that_name_them(
    tmp_path: Path, words: list[str], told: str
) -> None:
    err = io.StringIO()
    code = run(arguments(recording(tmp_path), *words), failures, io.StringIO(), err)
    assert (code, told in err.getvalue()) == (2, True), err.getvalue()


def test_cells_are_shown_as_a_table_with_scores_and_why(tmp_path: Path) -> None:
    out = io.StringIO()
    words = [recording(tmp_path), "--gsm-off", "460-00"]
    assert run(arguments(*words), odd_cell, out, io.StringIO()) == 0
    detection, header, row = out.getvalue().splitlines()
    assert detection.startswith("suspected fake base station")
    assert header.split()[:3] == ["rat", "plmn", "channel"]
    assert row.split()[:5] == ["GSM", "460-00", "8", "FA01", "2"]
    assert row.endswith("suspected  5.3    GSM-AFTER-SUNSET")
    out = io.StringIO()
    assert run(arguments(recording(tmp_path)), twin_cells, out, io.StringIO()) == 0
    rows = out.getvalue().splitlines()[1:]
    assert len(rows) == 2
    assert all(line.endswith("nothing odd") for line in rows)


@pytest.mark.field_data
def test_a_modem_log_reads_as_a_table(field_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = field_data / "cellular" / "modem_logs" / "quectel_ec2x_qeng_cn.txt"
    assert main_replay(arguments(str(log))) in {0, 3}
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["GSM", "460-00", "82", "247C", "4903", "35", "-52"] in [line[:7] for line in lines]
