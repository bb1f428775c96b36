"""The simulated city: no false alarms, a passing blaster is found; long runs in make soak."""

from __future__ import annotations

import argparse
import io
import json

import pytest

from hardware.readings import CellReading, Rat
from hardware.simulators.blaster import PLANS
from hardware.simulators.city import NETWORKS, City, Drive
from qianshao.rf_campaign import add_arguments, blaster_passes, learned, quiet_day, run


def test_the_city_holds_the_base_rates_it_claims() -> None:
    cities = [City(seed) for seed in range(10)]
    cells = [cell for city in cities for cell in city.cells]
    assert len(cells) == 10 * 200 == 10 * sum(network.cells for network in NETWORKS)
    gsm = [cell for cell in cells if cell.network.rat is Rat.GSM]
    unlisted = sum(not cell.is_listed for cell in gsm) / len(gsm)
    lonely = sum(cell.area >= 0x7000 and cell.area < 0x8000 for cell in gsm) / len(gsm)
    assert 0.03 < unlisted < 0.08
    assert 0.01 < lonely < 0.05


def test_the_same_seed_drives_the_same_way() -> None:
    def first(count: int) -> list[object]:
        drive = Drive(City(3), 5).readings(0.05)
        return [reading for reading, _ in zip(drive, range(count), strict=False)]

    assert first(300) == first(300)
    levels = [r.level_dbm for r in first(300) if isinstance(r, CellReading) and r.level_dbm]
    assert -110 < min(levels) < max(levels) < -20


def test_a_quiet_morning_raises_no_alert() -> None:
    day = quiet_day(3, hours=3)
    assert day.alerts == ()
    assert day.readings > 15_000
    assert day.observed


def test_a_passing_blaster_is_found_within_seconds() -> None:
    baselines = {seed: learned(seed, hours=1) for seed in range(4)}
    for plmn in ("460-00", "460-01"):
        found = blaster_passes(PLANS[0], plmn, 4, baselines)
        assert found.decoded >= 2
        assert found.found == found.decoded
        assert found.median_s is not None
        assert found.median_s <= 10
        assert found.false_alerts == 0


def test_the_command_prints_days_and_plans() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    out = io.StringIO()
    words = ["--days", "1", "--hours", "0.1", "--passes", "0", "--json"]
    assert run(parser.parse_args(words), out) == 0
    (line,) = [json.loads(text) for text in out.getvalue().splitlines()]
    assert (line["schema"], line["seed"]) == ("qianshao.campaign-day/1", 0)
    out = io.StringIO()
    assert run(parser.parse_args([*words, "--first-seed", "9000"]), out) == 0
    assert json.loads(out.getvalue())["seed"] == 9000
    out = io.StringIO()
    assert run(parser.parse_args(words[:-1]), out) == 0
    assert "0 false alerts in 0.1 h" in out.getvalue()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_days_among_genuine_cells_raise_at_most_one_alert() -> None:
    alerts = [alert for seed in range(20) for alert in quiet_day(seed).alerts]
    assert len(alerts) <= 1, alerts


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plmn", ["460-00", "460-01"])
def test_a_hundred_passes_are_found(plmn: str) -> None:
    found = blaster_passes(PLANS[0], plmn, 100, {})
    assert found.found >= 0.95 * found.decoded
    assert found.median_s is not None
    assert found.median_s <= 10
