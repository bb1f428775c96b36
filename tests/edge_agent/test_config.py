"""The agent's configuration: what is right is read, what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.topics import Lane
from contract.words import DeviceKind
from edge_agent.config import BrokerTls, ConfigError, SensorKind, load_config
from edge_agent.evidence import EvidenceLimits
from edge_agent.outbox_quota import LaneQuota, Quota
from mqtt_bridge.connection import Protocol
from mqtt_bridge.uplink import UplinkSettings

VAN = """\
device = "van-01"
tenant = "demo"
kind = "van"
state_dir = "state/van-01"
[broker]
host = "127.0.0.1"
port = 1883
ca = "ca.pem"
certificate = "/etc/van-01.pem"
[central]
public_key = "central.pub.pem"
[health]
period_s = 2
[[sensors]]
name = "modem0"
kind = "quectel"
url = "/dev/ttyUSB2"
poll_s = 0.5
[[sensors]]
name = "air0"
kind = "capture"
url = "replay://records/air.pcap?loop=1"
"""

ATM = """\
device = "atm-01"
tenant = "demo"
kind = "atm"
state_dir = "state"
[broker]
host = "broker"
[central]
public_key = "central.pub.pem"
[atm]
tenant_key_file = "card.key"
script = "visits.toml"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def problems(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    return str(caught.value).replace(f"{file}", "agent.toml").split("\n")


def test_a_van_is_read_with_paths_beside_its_file(file: Path) -> None:
    file.write_text(VAN)
    config = load_config(file)
    assert (config.device, config.tenant, config.kind) == ("van-01", "demo", DeviceKind.VAN)
    assert config.state_dir == file.parent / "state/van-01"
    assert (config.broker.host, config.broker.port) == ("127.0.0.1", 1883)
    assert config.broker.tls == BrokerTls(
        ca=file.parent / "ca.pem", certificate=Path("/etc/van-01.pem")
    )
    assert config.central.public_key == file.parent / "central.pub.pem"
    assert config.health.period_s == 2.0
    modem, air = config.sensors
    assert (modem.name, modem.kind, modem.poll_s) == ("modem0", SensorKind.QUECTEL, 0.5)
    assert (air.kind, air.poll_s) == (SensorKind.CAPTURE, None)
    assert air.url == f"replay://{file.parent}/records/air.pcap?loop=1"
    assert config.atm is None


def test_an_atm_is_read_with_defaults(file: Path) -> None:
    file.write_text(ATM)
    config = load_config(file)
    assert config.atm is not None
    assert config.atm.tenant_key_file == file.parent / "card.key"
    assert config.atm.script == file.parent / "visits.toml"
    assert (config.atm.threshold, config.atm.models) == (None, None)
    assert (config.broker.port, config.broker.tls) == (8883, None)
    assert config.health.period_s == 5.0
    assert config.sensors == ()


def test_the_optional_values_of_an_atm_are_read(file: Path) -> None:
    file.write_text(ATM + 'threshold = 0.414\nmodels = "models"\n')
    config = load_config(file)
    assert config.atm is not None
    assert (config.atm.threshold, config.atm.models) == (0.414, file.parent / "models")


def test_a_folder_with_a_blank_reaches_the_replay_url_quoted(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    (folder / "agent.toml").write_text(VAN)
    url = load_config(folder / "agent.toml").sensors[1].url
    assert url == f"replay://{tmp_path}/two%20words/records/air.pcap?loop=1"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"van-01"\n', '"Van 01"\n', ":1: device: device 'Van 01': 1 to 40 of a-z"),
        ('"van-01"\n', '"central"\n', ":1: device: 'central' is not a device"),
        ('tenant = "demo"\n', "", ": tenant: is missing"),
        ('"van"', '"bus"', ":3: kind: 'bus' is none of atm, van, fixed_site"),
        ("port = 1883", "port = 70000", ":7: broker.port: 70000 is not within 1 to 65535"),
        ('ca = "ca.pem"\n', "", ":5: broker.ca: is missing"),
        ("[broker]\n", "[brokers]\n", ":5: brokers: unknown key (did you mean broker?)"),
        ("period_s = 2", "period = 2", ":13: health.period: unknown key (did you mean period_s?)"),
        ('"modem0"', '"modem 0"', ":15: sensors[0].name: sensor 'modem 0'"),
        ('"air0"', '"modem0"', ":20: sensors[1].name: 'modem0' is the name of another sensor"),
        ("replay:", "http:", ":22: sensors[1].url: unknown scheme http://"),
        ("replay://records/air.pcap?loop=1", "socket://", ":22: sensors[1].url: nothing stands"),
        ("poll_s = 0.5", "poll_s = 0", ":18: sensors[0].poll_s: 0 is not within 0.05 to 3600"),
        ('kind = "capture"', 'kind = "capture"\npoll_s = 1', ":22: sensors[1].poll_s: belongs to"),
        (
            'kind = "capture"',
            'kind = "capture"\nkey = "k"',
            ":22: sensors[1].key: belongs to a board",
        ),
        (
            'kind = "capture"',
            'kind = "board"\nmodem = "nmea"',
            ":22: sensors[1].modem: nmea is no AT modem",
        ),
        ("[[sensors]]\n", "[sensors]\n", ":19: Cannot declare ('sensors',) twice"),
    ],
)
def test_each_mistake_names_its_line_and_key(file: Path, old: str, new: str, expected: str) -> None:
    assert old in VAN
    found = problems(file, VAN.replace(old, new))
    assert any(line.startswith("agent.toml" + expected) for line in found), found


def test_all_mistakes_are_reported_at_once(file: Path) -> None:
    text = VAN.replace('"127.0.0.1"', "1").replace('"capture"', '"sdr"').replace("= 0.5", "= 'x'")
    *others, last = problems(file, text)
    assert others == [
        "agent.toml:6: broker.host: expected a text, found a whole number",
        "agent.toml:18: sensors[0].poll_s: expected a number, found a text",
    ]
    assert last.startswith("agent.toml:21: sensors[1].kind: 'sdr' is none of quectel, ")


def test_the_kind_decides_which_tables_belong(file: Path) -> None:
    head, tail = ATM.split("[atm]")
    assert problems(file, head) == ["agent.toml: atm: is missing: kind is atm"]
    sensor = '[[sensors]]\nname = "a"\nkind = "quectel"\nurl = "COM3"\n'
    assert problems(file, ATM + sensor) == [
        "agent.toml:12: sensors: belong to a van or a fixed site, kind is atm"
    ]
    van = head.replace('"atm"', '"van"')
    assert problems(file, van) == ["agent.toml: sensors: at least one [[sensors]] is needed"]
    assert problems(file, van + sensor + "[atm]" + tail) == [
        "agent.toml:13: atm: belongs to an ATM, kind is van"
    ]


@settings(deadline=None)
@given(
    st.sampled_from([VAN, ATM]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 4), st.text(max_size=3)), max_size=4),
)
def test_a_damaged_file_is_read_or_refused_but_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, text: str, edits: list[tuple[int, int, str]]
) -> None:
    for position, length, inserted in edits:
        text = text[:position] + inserted + text[position + length :]
    file = tmp_path_factory.mktemp("config") / "agent.toml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    assert files_of_error(file) in (set(), {file})


def files_of_error(file: Path) -> set[Path]:
    try:
        load_config(file)
    except ConfigError as error:
        return {problem.file for problem in error.problems}
    return set()


def test_the_evidence_key_may_be_in_a_token(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    lines = ['library = "/usr/lib/p11.so"', 'token = "van"', 'pin_file = "pin"']
    file.write_text(VAN + "\n".join(["[evidence_token]", *lines]) + "\n", encoding="utf-8")
    token = load_config(file).evidence_token
    assert token is not None
    assert (token.library, token.token) == (Path("/usr/lib/p11.so"), "van")
    assert (token.key, token.pin_file) == ("qianshao-evidence", tmp_path / "pin")
    file.write_text(VAN + "[evidence_token]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"library"):
        load_config(file)


@pytest.mark.parametrize("url", ["http://central:1", "central:8471", "https://", "https://c/x"])
def test_the_central_s_address_is_https_alone(tmp_path: Path, url: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(VAN.replace("[central]", f'[central]\nurl = "{url}"'), encoding="utf-8")
    with pytest.raises(ConfigError, match="https://HOST:PORT"):
        load_config(file)


CELLS = """\
[cells]
plan = "cells.csv"
gsm_off = "460-01 460-06"
baselines = ["a.json", "/b.json"]
sms_model = "sms.model"
"""


def test_what_the_cell_detector_is_told_is_read(tmp_path: Path) -> None:
    path = tmp_path / "van.toml"
    path.write_text(VAN + CELLS, encoding="utf-8")
    cells = load_config(path).cells
    assert cells.plan == tmp_path / "cells.csv"
    assert cells.register is None
    assert cells.gsm_off == ("460-01", "460-06")
    assert cells.baselines == (tmp_path / "a.json", Path("/b.json"))
    assert cells.sms_model == tmp_path / "sms.model"
    path.write_text(VAN, encoding="utf-8")
    assert load_config(path).cells.plan is None


def test_a_network_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "van.toml"
    path.write_text(VAN + '[cells]\ngsm_off = "46001"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert "cells.gsm_off" in str(error.value)


def test_outbox_and_uplink_are_set_in_operators_words(file: Path) -> None:
    file.write_text(
        VAN
        + """
[outbox]
capacity_messages = 5000
min_free_bytes = 0
housekeeper_interval_s = 60
[outbox.telemetry]
capacity_bytes = 1000000
[outbox.health]
purge_age_s = 0
[evidence]
purge_age_s = 0
[uplink]
in_flight_messages = 50
republish_min_s = 90
replay_max_per_s = 30
mqtt_version = "5"
"""
    )
    config = load_config(file)
    assert (config.outbox.max_rows, config.outbox.housekeeper_s) == (5000, 60)
    assert config.outbox.max_bytes == Quota().max_bytes
    assert config.outbox.lanes[Lane.TELEMETRY] == LaneQuota(
        max_bytes=1_000_000, max_age_s=30 * 86_400
    )
    assert config.outbox.lanes[Lane.HEALTH].max_age_s is None
    assert (config.uplink.window, config.uplink.protocol) == (50, Protocol.MQTT_5)
    assert (config.uplink.resend_min_s, config.uplink.resend_max_s) == (90, 90)
    assert config.evidence == EvidenceLimits(max_age_s=None)
    assert config.uplink.pace.most_per_s == 30


def test_mistakes_in_outbox_and_uplink_are_named(file: Path) -> None:
    found = problems(
        file,
        VAN
        + """
[outbox]
capacity_messages = 5
[outbox.letters]
[uplink]
republish_min_s = 90
republish_max_s = 60
mqtt_version = "4"
""",
    )
    words = "\n".join(found)
    for key in ("capacity_messages", "letters", "republish_max_s", "mqtt_version"):
        assert key in words
    assert len(found) == 4


def test_without_them_the_defaults_hold(file: Path) -> None:
    file.write_text(VAN)
    assert load_config(file).outbox == Quota()
    assert load_config(file).uplink == UplinkSettings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[atm.assertion]\nterminal = "ATM00001"\n', "atm.assertion.socket: set either socket"),
        ('[atm.assertion]\nterminal = "A1"\nsocket = "a"\n', "eight letters or digits"),
        ('[atm.assertion]\nterminal = "ATM00001"\nport = 1\n', "atm.assertion.ca: is missing"),
        ('[atm.gate]\nupstream = "http://x"\nport = 1\n', "is no ws://HOST:PORT"),
        ("[atm.screen]\nport = 0\n", "atm.screen.port: 0 is not within 1 to 65535"),
        (
            '[atm.machine]\nterminal = "ATM00001"\n[atm.machine.host]\nhost = "x"\nport = 1\n'
            'profile = "iso99"\n',
            "'iso99' is none of iso87-ascii",
        ),
    ],
)
def test_what_an_atm_serves_is_checked_with_its_key(file: Path, text: str, expected: str) -> None:
    assert any(expected in line for line in problems(file, ATM + text))


def test_the_list_and_the_limits_of_an_atm_are_read(file: Path) -> None:
    file.write_text(
        ATM + 'max_once_fen = 300000\n[atm.lists]\nurl = "https://central.example:8471"\n'
    )
    atm = load_config(file).atm
    assert atm is not None
    assert (atm.max_once_fen, atm.max_day_fen) == (300_000, None)
    assert atm.lists is not None
    assert (atm.lists.max_age_s, atm.lists.refresh_s) == (900.0, 60.0)
    found = problems(file, ATM + '[atm.lists]\nurl = "http://central.example"\n')
    assert any("is no https://HOST:PORT" in line for line in found)
