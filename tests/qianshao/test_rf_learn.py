"""``rf learn``: baselines from recordings; suspects are left out; versions and drift."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from hardware.readings import Rat
from qianshao.rf_learn import add_arguments, learn, run
from rf_watch import CellContext
from rf_watch.baseline import Network, parse_baseline
from tests.rf_watch.kit import gsm

LINE = '+QENG: "servingcell","NOCONN","GSM",460,{mnc},{lac:X},{ci:X},35,62,-,-52,9,255,0,20,130,1'


def transcript(folder: Path, name: str, cells: int, mnc: str = "00") -> Path:
    lines = []
    for number in range(cells):
        line = LINE.format(mnc=mnc, lac=0x247C + number % 2, ci=0x1000 + number)
        lines.append(line + ",-" * 9 + ',"-"')
        lines.append("OK")
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def arguments(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_recordings_are_learned_then_learned_on(tmp_path: Path) -> None:
    first, second = tmp_path / "one.json", tmp_path / "two.json"
    log = transcript(tmp_path, "day1.txt", 12)
    out, err = io.StringIO(), io.StringIO()
    assert run(arguments(log, "--out", first, "--region", "140500"), out, err) == 0, err.getvalue()
    baseline = parse_baseline(first.read_text(encoding="utf-8"))
    found = baseline.networks[Network(Rat.GSM, "460-00")]
    assert (baseline.region, baseline.version, found.cells) == ("140500", 1, 12)
    assert found.constants["cro_db"] == {110: 12}
    assert baseline.sha256 in out.getvalue()
    again = transcript(tmp_path, "day2.txt", 30)
    out = io.StringIO()
    words = (again, "--out", second, "--region", "140500", "--since", first)
    assert run(arguments(*words), out, err) == 0
    assert parse_baseline(second.read_text(encoding="utf-8")).version == 2
    assert "drift since version 1: none" in out.getvalue()


def test_suspected_cells_are_not_learned() -> None:
    genuine = [gsm(at, cell_id=at, channel=at + 1) for at in range(9)]
    blaster = [gsm(20 + at, plmns=("460-11",), channel=55) for at in range(3)]
    learner, bad = learn([*genuine, *blaster], CellContext())
    assert (learner.readings, learner.left_out, bad) == (9, 3, [])
    assert Network(Rat.GSM, "460-11") not in learner.baseline("x", 1).networks


def test_mistakes_are_named(tmp_path: Path) -> None:
    log, out = transcript(tmp_path, "log.txt", 3), tmp_path / "out.json"
    broken = tmp_path / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    for words, problem, status in (
        (("--out", out, "--region", "x"), "PATH", 2),
        ((log, "--live", "/dev/x", "--out", out, "--region", "x"), "PATH", 2),
        ((tmp_path / "none", "--out", out, "--region", "x"), "no such file", 2),
        ((log, "--out", out, "--region", "x", "--since", broken), "--since", 2),
        ((log, "--out", tmp_path, "--region", "x"), "--out", 1),
        ((broken, "--out", out, "--region", "x"), "nothing was learned", 1),
    ):
        err = io.StringIO()
        assert run(arguments(*words), io.StringIO(), err) == status
        assert problem in err.getvalue()


@pytest.mark.field_data
def test_genuine_cells_of_a_recording_are_learned(field_data: Path, tmp_path: Path) -> None:
    log = field_data / "cellular" / "modem_logs" / "quectel_ec2x_qeng_cn.txt"
    out = tmp_path / "out.json"
    assert run(arguments(log, "--out", out, "--region", "x"), io.StringIO(), io.StringIO()) in {
        0,
        3,
    }
    found = parse_baseline(out.read_text(encoding="utf-8")).networks[Network(Rat.GSM, "460-00")]
    assert set(found.constants["cro_db"]) == {116, 118, 124, 126}
