"""What lies in deploy/ fits the program; mqtt_bridge/test_access.py runs the brokers' files."""

from __future__ import annotations

import shlex
from configparser import ConfigParser
from pathlib import Path

import pytest

from contract.access import DEVICE_ACCESS, Action
from qianshao.__main__ import build_parser

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def unit(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_exists_as_nobody_special(path: Path) -> None:
    service = unit(path)["Service"]
    words = shlex.split(service["ExecStart"])
    assert build_parser().parse_args(words[1:]).run
    assert service["User"] == "qianshao"
    assert service["Restart"] == "always"
    assert service["NoNewPrivileges"] == "yes"


def test_there_is_a_unit_for_each_long_running_process() -> None:
    assert [path.name for path in UNITS] == ["qianshao-agent.service", "qianshao-central.service"]
    agent = unit(UNITS[0])["Service"]
    assert agent["Type"] == "notify"
    assert int(agent["WatchdogSec"]) >= 30


def test_the_patterns_of_mosquitto_are_those_of_the_table() -> None:
    words = {Action.PUBLISH: "write", Action.SUBSCRIBE: "read"}
    wanted = [f"pattern {words[a.action]} {a.filter('TENANT', '%u')}" for a in DEVICE_ACCESS]
    text = (DEPLOY / "mosquitto/qianshao.acl").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("pattern")] == wanted
