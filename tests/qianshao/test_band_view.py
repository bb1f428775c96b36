"""``rf watch``: the live view of a simulated device, as a terminal would show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.readings import Position
from hardware.simulators.fm_scene import EXAMPLE_MHZ, city_scene, licence_csv
from hardware.simulators.instruments import Mood, SimulatedInstrument, TinySaPeer, example_scene
from qianshao.__main__ import build_parser
from qianshao.band_view import BandView, main_watch
from rf_watch.broadcast import BroadcastSettings, BroadcastWatch, read_licences

NOON_US = 1_795_579_200_000_000
QUICK = Mood(sweep_s=0.0)


def main(words: list[str]) -> int:
    """The command without its logs, which would hold on to this test's stderr."""
    return main_watch(build_parser().parse_args(words))


def test_a_live_device_is_shown_with_its_carriers_and_the_suspected_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # whatever the terminal of this run has
    monkeypatch.setenv("LINES", "40")
    scene = example_scene(0.0, NOON_US)
    licences = tmp_path / "licences.csv"
    licences.write_text(licence_csv(scene))
    link = tmp_path / "sa0"
    with SimulatedInstrument(TinySaPeer(scene, lambda: NOON_US), link, QUICK):
        words = ["rf", "watch", str(link), "--kind", "tinysa", "--licences", str(licences)]
        words += ["--set", "fm.continuous_s=1", "--seconds", "5", "--plain"]
        assert main(words) == 0
    shown = capsys.readouterr().out
    assert "87.0 MHz" in shown
    assert any(bar in shown for bar in "▅▆▇█")
    (line,) = [line for line in shown.splitlines() if line.startswith("   92.")]
    assert "DISCOVERED" in line
    assert shown.count(" listed ") == len(EXAMPLE_MHZ)
    assert "ALERT BLACK_BROADCAST_SUSPECTED UNLICENSED" in shown


def test_the_view_is_the_same_for_the_same_readings_and_fits_the_terminal() -> None:
    def once(width: int) -> str:
        scene = city_scene(EXAMPLE_MHZ, Position(25.0, 102.7), seed=1)
        rows, _ = read_licences(licence_csv(scene))
        view = BandView(BroadcastWatch("w", BroadcastSettings(), rows), "tinysa at sa0")
        for number in range(5):
            view.take(scene.sweep(NOON_US + number * 1_000_000))
        return view.text(width)

    assert once(80) == once(80)
    assert max(len(line) for line in once(60).splitlines()) <= 60


def test_a_small_terminal_shows_what_no_list_names_and_how_long_until_it_is_suspected() -> None:
    scene = example_scene(0.0, NOON_US)
    rows, _ = read_licences(licence_csv(scene))
    view = BandView(BroadcastWatch("w", BroadcastSettings(), rows), "tinysa at sa0")
    for number in range(31):
        view.take(scene.sweep(NOON_US + number * 2_000_000))
    lines = view.text(80, 20).splitlines()
    assert len(lines) <= 20
    assert "8 carriers, 1 not listed" in lines[0]
    assert sum(line.count("▲") for line in lines) == 1
    (line,) = [line for line in lines if line.startswith("   92.")]
    assert "CANDIDATE 14:00 to go" in line
    assert any("92.30 MHz new, not listed" in line for line in lines)
    assert any(line.startswith("and ") and line.endswith(" more") for line in lines)


@pytest.mark.parametrize(
    "words", [["--licences", "/nowhere.csv"], ["--set", "fm.nothing=1"], ["--set", "x"]]
)
def test_bad_options_are_usage_errors(words: list[str]) -> None:
    assert main(["rf", "watch", "/dev/null", "--kind", "tinysa", *words]) == 2


def test_a_port_that_is_not_there_is_named_as_long_as_it_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["rf", "watch", "/dev/none", "--kind", "tinysa", "--seconds", "0.3", "--plain"]
    assert main(words) == 1
    assert "the port cannot be used: No such file or directory" in capsys.readouterr().out
