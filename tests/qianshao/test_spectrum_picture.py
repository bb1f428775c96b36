"""The picture of a recording: same sweeps, same bytes; what it names; what it refuses."""

from __future__ import annotations

import base64
import csv
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hardware.readings import Position
from hardware.simulators.fm_scene import FmReceiver, city_scene, main
from qianshao.__main__ import main as qianshao
from qianshao.broadcast_pictures import draw_all
from qianshao.spectrum_picture import Mark, SpectrumPicture

HERE = Position(25.0, 102.7)


def picture(marks: list[Mark], *, points: int = 450) -> str:
    scene = city_scene((91.8, 97.0), HERE, seed=1, receiver=FmReceiver(points=points))
    drawn = SpectrumPicture("a <scene> & more")
    for number in range(30):
        drawn.add(scene.sweep(number * 1_000_000))
    return drawn.svg(marks)


@pytest.mark.parametrize("points", [50, 450, 3000])
def test_the_same_sweeps_give_the_same_bytes_and_well_formed_pictures(points: int) -> None:
    marks = [Mark(91.8, "91.80", True), Mark(97.0, "97.00 <DISCOVERED>", False)]
    text = picture(marks, points=points)
    assert text == picture(marks, points=points)
    root = ElementTree.fromstring(text)
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "a <scene> & more" in words
    assert "97.00 <DISCOVERED>" in words
    data = re.search(r"base64,([^\"]+)", text)
    assert data is not None
    png = base64.b64decode(data[1])
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    body = png[png.index(b"IDAT") + 4 : png.index(b"IEND") - 8]
    assert len(zlib.decompress(body)) == height * (1 + 3 * width)
    assert height == 30


def test_sweeps_of_another_range_are_left_out_and_counted() -> None:
    drawn = SpectrumPicture("x")
    one = city_scene((91.8,), HERE)
    other = city_scene((91.8,), HERE, receiver=FmReceiver(points=100))
    drawn.add(one.sweep(0))
    drawn.add(other.sweep(0))
    assert drawn.left_out == 1
    with pytest.raises(ValueError, match="no sweep"):
        SpectrumPicture("empty").svg([])


def test_a_scene_is_written_replayed_and_drawn_by_one_command_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = Path(__file__).parents[1] / "rf_watch" / "broadcast" / "pirate_fm_cases.csv"
    words = [str(cases), "PFM-09", "--folder", str(tmp_path), "--minutes", "5"]
    assert main(words) == 0
    svg = tmp_path / "p.svg"
    command = ["rf", "replay", str(tmp_path / "PFM-09.csv"), "--utc-offset", "+08:00"]
    command += ["--licences", str(tmp_path / "licences.csv"), "--picture", str(svg)]
    assert qianshao([*command, "--set", "fm.continuous_s=120"]) == 0
    said = capsys.readouterr()
    assert "alert BLACK_BROADCAST_SUSPECTED (high)" in said.out
    assert "FM-OFF-RASTER" in said.out
    assert said.err.count(" listed ") == 7
    assert "103.55 DISCOVERED" in svg.read_text("utf-8")
    assert main([str(cases), "PFM-99", "--folder", str(tmp_path)]) == 2


def test_each_kind_of_suspicion_has_a_picture_that_names_it() -> None:
    path = Path(__file__).parents[1] / "rf_watch" / "broadcast" / "pirate_fm_cases.csv"
    with path.open(encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    drawn = draw_all(rows)
    told = {
        name: {(d.subject["mhz"], d.subkind or str(d.alert)) for d in alerts}
        for name, (_, alerts) in drawn.items()
    }
    assert told == {
        "broadcast": {(90.5, "UNLICENSED"), (94.5, "UNLICENSED")},
        "broadcast-off-raster": {(103.55, "OFF_RASTER")},
        "broadcast-cochannel": {(91.8, "COCHANNEL_HIJACK")},
        "broadcast-aviation": {(121.4, "AERONAUTICAL_INTERFERENCE")},
    }
    for name, mark in {
        "broadcast": "94.50 DISCOVERED",
        "broadcast-off-raster": "103.55 DISCOVERED",
        "broadcast-cochannel": "91.80 DISCOVERED",
        "broadcast-aviation": "121.400 ALERT",
    }.items():
        assert drawn[name][0].count(mark) == 1
    assert "observed" not in drawn["broadcast-aviation"][0]
