"""Services are found by what they can do, on any of the standard's ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.server import ServerConnection, serve

from hardware.atm.discovery import ROOT, ServiceKind, discover, standard_publishers
from hardware.atm.xfs4iot import Dialect
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.xfs_atm import XfsAtm
from hardware.simulators.xfs_services import DISPENSER, READER


def quiet(name: str) -> None:
    pass


@pytest.mark.parametrize("dialect", Dialect)
def test_among_dead_ports_the_services_are_found_by_capability(dialect: Dialect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        closed = int(dead.getsockname()[1])
    cash = SimulatedDispenser(CashFaults(), quiet)
    slot = SimulatedCardSlot(CashFaults(), quiet)
    with XfsAtm(cash, slot, dialect, token_key=bytes(32)) as atm:
        found = discover(standard_publishers(ports=(closed, atm.port)), dialect)
        assert found.services == {
            ServiceKind.CARD_READER: atm.url(READER),
            ServiceKind.CASH_DISPENSER: atm.url(DISPENSER),
        }
        assert found.problems == ()


def test_the_thirteen_ports_of_the_standard_are_all_tried() -> None:
    urls = standard_publishers()
    assert f"ws://127.0.0.1:80{ROOT}" in urls
    assert f"wss://127.0.0.1:80{ROOT}" not in urls
    assert f"wss://127.0.0.1:443{ROOT}" in urls
    assert {url.split(":")[2].split("/")[0] for url in urls} == {
        "80",
        "443",
        *(str(port) for port in range(5846, 5857)),
    }


class Liar:
    """A publisher that answers whatever it is told to."""

    def __init__(self) -> None:
        self.payload = ""
        self._server = serve(self._serve, "127.0.0.1", 0, close_timeout=1)
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever)

    def _serve(self, line: ServerConnection) -> None:
        for _ in line:
            header = (
                '{"name":"ServicePublisher.GetServices","type":"completion","requestId":1,'
                '"version":"2.0","completionCode":"success"}'
            )
            line.send(f'{{"header":{header},"payload":{self.payload}}}')

    def __enter__(self) -> Liar:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    with Liar() as made:
        yield made


@pytest.mark.parametrize(
    "payload",
    [
        '{"services":[{"serviceURI":"ws://10.0.0.1:5846/xfs4iot/v1.0/Cash/"}]}',  # another machine
        '{"services":[{"serviceURI":"file:///etc/passwd"}]}',
        '{"services":[{"serviceURI":7},{},"x",null]}',
        '{"services":{}}',
        "{}",
    ],
)
def test_a_publisher_leads_nowhere_else(liar: Liar, payload: str) -> None:
    liar.payload = payload
    found = discover([f"ws://127.0.0.1:{liar.port}{ROOT}"], Dialect.CURRENT, timeout_s=1)
    assert (found.services, found.problems) == ({}, ())


def test_a_service_that_is_named_and_silent_is_said(liar: Liar) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        uri = f"ws://127.0.0.1:{dead.getsockname()[1]}{ROOT}/Cash/"
    liar.payload = f'{{"services":[{{"serviceURI":"{uri}"}}]}}'
    found = discover([f"ws://127.0.0.1:{liar.port}{ROOT}"], Dialect.CURRENT, timeout_s=1)
    assert found.problems == (f"{uri} does not answer",)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet='{}[]":,serviceURIw0/. ', max_size=40))
def test_whatever_a_publisher_says_nothing_breaks(liar: Liar, text: str) -> None:
    liar.payload = text or "null"
    found = discover([f"ws://127.0.0.1:{liar.port}{ROOT}"], Dialect.CURRENT, timeout_s=0.05)
    assert found.services == {}
