"""The central's settings file: defaults, both kinds of broker, mistakes with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.authority import split_hosts
from central.config import BrokerKind, CentralSettings, load_settings
from contract.settings import ConfigError
from mqtt_bridge.ports import BrokerAddress, TlsFiles


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "central.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_tenant_and_folder_are_enough(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, 'tenant = "demo"\nfolder = "state"\n'))
    assert settings == CentralSettings(tenant="demo", folder=tmp_path / "state")
    assert settings.http_host == "127.0.0.1"


def test_everything_may_be_set(tmp_path: Path) -> None:
    text = """
tenant = "demo"
folder = "state"
[http]
host = "localhost"
port = 9000
[broker]
listen = "127.0.0.2"
port = 9001
binary = "bin/nats-server"
[ingest]
receipt_interval_ms = 200
[pages]
utc_offset_minutes = 0
"""
    assert load_settings(written(tmp_path, text)) == CentralSettings(
        tenant="demo",
        folder=tmp_path / "state",
        http_host="localhost",
        http_port=9000,
        broker_host="127.0.0.2",
        broker_port=9001,
        broker_binary=tmp_path / "bin/nats-server",
        utc_offset_minutes=0,
        receipt_interval_ms=200,
    )


def test_an_operators_own_broker_takes_the_place_of_the_embedded_one(tmp_path: Path) -> None:
    text = """
tenant = "demo"
folder = "state"
[broker]
host = "mqtt.example"
ca = "ca.pem"
certificate = "c.pem"
private_key = "c.key"
"""
    tls = TlsFiles(
        ca=tmp_path / "ca.pem", certificate=tmp_path / "c.pem", private_key=tmp_path / "c.key"
    )
    found = load_settings(written(tmp_path, text)).broker
    assert found == BrokerAddress(host="mqtt.example", port=8883, tls=tls)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('tenant = "De mo"\nfolder = "s"\n', "central.toml:1: tenant"),
        ('tenant = "demo"\n', "folder: is missing"),
        ('tenant = "demo"\nfolder = "s"\n[http]\nport = 70000\n', "central.toml:4: http.port"),
        ('tenant = "demo"\nfolder = "s"\ncolour = 1\n', "central.toml:3: colour: unknown key"),
        (
            'tenant = "demo"\nfolder = "s"\n[broker]\nhost = "h"\nlisten = "127.0.0.1"\n',
            "central.toml:5: broker.listen: unknown key",
        ),
        (
            'tenant = "demo"\nfolder = "s"\n[broker]\nhost = "h"\nca = "ca.pem"\n',
            "broker.private_key: is missing",
        ),
    ],
)
def test_mistakes_name_line_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(written(tmp_path, text))
    assert problem in str(refused.value)


def test_identities_are_set_and_the_port_is_closed_by_default(tmp_path: Path) -> None:
    head = 'tenant = "demo"\nfolder = "state"\n'
    assert load_settings(written(tmp_path, head)).enrol_host is None
    assert load_settings(written(tmp_path, head + "[enrolment]\n")).enrol_host == "127.0.0.1"
    text = (
        head
        + 'names = ["central.example", "10.0.0.5", "::1"]\n[broker]\nkind = "mosquitto"\n'
        + '[enrolment]\nlisten = "0.0.0.0"\nport = 0\ncertificate_days = 7\n'
    )
    settings = load_settings(written(tmp_path, text))
    assert (settings.enrol_host, settings.enrol_port, settings.certificate_days) == (
        "0.0.0.0",
        0,
        7,
    )
    assert settings.broker_kind is BrokerKind.MOSQUITTO
    assert split_hosts(settings.names) == (["central.example"], ["10.0.0.5", "::1"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names = []", "names: expected an array of texts"),
        ('names = "one"', "names: expected an array of texts"),
        ('[broker]\nkind = "emqx"', "none of nats, mosquitto"),
        ("[enrolment]\ncertificate_days = 0", "not within 1 to 397"),
    ],
)
def test_mistakes_about_identities_are_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_settings(written(tmp_path, f'tenant = "demo"\nfolder = "state"\n{text}\n'))
