"""What lies in deploy/ fits the program; tests/mqtt_bridge runs the brokers' files themselves."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from central.authority import Authority
from contract.access import DEVICE_ACCESS, Action
from mqtt_bridge.brokers import Listener, MosquittoBroker, NatsBroker
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


PLACES = {
    "listen",
    "listener",
    "user",
    "log_file",
    "log_dest",
    "store_dir",
    "persistence_location",
    "acl_file",
    "cafile",
    "certfile",
    "keyfile",
    "cert_file",
    "key_file",
    "ca_file",
}
"""What an operator's machine has elsewhere than the central's own broker."""


def own_listener(folder: Path) -> Listener:
    authority = Authority.create(folder / "ca")
    return Listener(tls=authority.issue_server(folder / "tls"), crl=authority.publish_crl([]))


@pytest.mark.mosquitto
def test_the_settings_of_mosquitto_are_those_of_the_central_s_own(
    mosquitto: str, tmp_path: Path
) -> None:
    def settings(text: str) -> set[str]:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {line for line in lines if line.split()[0] not in PLACES | {"crlfile"}}

    broker = MosquittoBroker(tmp_path / "broker", own_listener(tmp_path), binary=Path(mosquitto))
    deployed = (DEPLOY / "mosquitto/qianshao.conf").read_text(encoding="utf-8")
    assert settings(deployed) == settings(broker._make_config())
    assert "crlfile" in deployed


def test_the_settings_of_nats_are_those_of_the_central_s_own(tmp_path: Path) -> None:
    def leaves(values: object, name: str = "") -> Iterator[tuple[str, str]]:
        if isinstance(values, dict):
            for key, value in values.items():
                yield from leaves(value, key)
        elif name not in PLACES:
            yield name, json.dumps(values).strip('"')

    broker = NatsBroker(tmp_path / "broker", own_listener(tmp_path))
    wanted = broker._make_config()
    del wanted["authorization"], wanted["http"]  # users.conf; nobody reads the log's numbers
    text = (DEPLOY / "nats/nats.conf").read_text(encoding="utf-8")
    written = re.findall(r'^\s*(?:limits \{ )?(\w+): "?([^"\s}]+)', text, re.MULTILINE)
    deployed = {(name, value) for name, value in written if name not in PLACES}
    # NATS's own port, which nobody uses, keeps its own patience with a handshake.
    assert deployed == set(leaves(wanted))
