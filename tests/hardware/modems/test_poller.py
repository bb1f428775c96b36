"""The poller: over a real pseudo-terminal, and over a port that misbehaves on cue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contract.clock import SystemClock
from hardware.modems.poller import ModemPoller
from hardware.modems.quectel import NEIGHBOURS, SERVING, QuectelDialect
from hardware.readings import CellReading, Item, Unreadable
from hardware.serial.port import (
    Backoff,
    PortData,
    PortEnded,
    PortEvent,
    PortLost,
    PortOpened,
    SerialPort,
)
from hardware.serial.transport import PortError, replay_url
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript, TranscriptScript
from hardware.simulators.peers import PEERS
from hardware.simulators.scene import CENTRE, GENUINE, RadioScene

CELL = b'+QENG: "neighbourcell","GSM",460,00,52A1,3C08,44,23,-78,27,87,0,0\r\n'
QUICK = Backoff(first_s=0.01, cap_s=0.05)


def dialect() -> QuectelDialect:
    """Without its set-up, which is the dialects' own matter: the rounds are what is tested."""
    modem = QuectelDialect(sensor="modem0", file="modem0")
    modem.identity = modem.messages_setup = ()
    return modem


async def take(items: AsyncIterator[Item], count: int) -> list[Item]:
    async with asyncio.timeout(30):
        return [await anext(items) for _ in range(count)]


@asynccontextmanager
async def polling(
    link: Path, *, period_s: float = 0.02, answer_timeout_s: float = 2.0
) -> AsyncIterator[tuple[ModemPoller, AsyncIterator[Item]]]:
    async with SerialPort(str(link), clock=SystemClock(), backoff=QUICK) as port:
        poller = ModemPoller(
            port, dialect(), period_s=period_s, answer_timeout_s=answer_timeout_s, silent_after=2
        )
        yield poller, poller.items()


def test_a_modem_is_polled_round_after_round(tmp_path: Path) -> None:
    async def live(modem: SimulatedModem) -> None:
        async with polling(modem.link) as (poller, items):
            cells = await take(items, 16)
            assert all(isinstance(cell, CellReading) for cell in cells)
            stamp = cells[0].stamp if isinstance(cells[0], CellReading) else None
            assert stamp is not None
            assert stamp.time_basis == "live"
            assert stamp.received_us == stamp.at_us > 1_600_000_000_000_000
            assert poller.counters.rounds >= 4
            assert poller.counters.timeouts == poller.counters.errors == 0

    with SimulatedModem(SceneScript("genuine"), tmp_path / "modem0") as modem:
        asyncio.run(live(modem))


def test_torn_bytes_and_unsolicited_lines_change_no_reading(tmp_path: Path) -> None:
    async def survey(modem: SimulatedModem) -> tuple[list[bytes], list[Unreadable]]:
        cells: list[bytes] = []
        others: list[Unreadable] = []
        async with polling(modem.link) as (_, items):
            async with asyncio.timeout(30):
                async for item in items:
                    if isinstance(item, CellReading):
                        cells.append(item.raw)
                    elif isinstance(item, Unreadable):
                        others.append(item)
                    if len(cells) == 24:
                        break
        return cells, others

    with SimulatedModem(SceneScript("genuine"), tmp_path / "a") as smooth:
        wanted, none = asyncio.run(survey(smooth))
    with SimulatedModem(SceneScript("genuine"), tmp_path / "b", is_torn=True) as torn:
        cells, others = asyncio.run(survey(torn))
    assert cells == wanted
    assert not none
    assert others
    assert not any(item.is_damage for item in others)


def test_a_modem_that_is_unplugged_is_polled_again_when_it_returns(tmp_path: Path) -> None:
    async def live(modem: SimulatedModem) -> None:
        async with polling(modem.link) as (poller, items):
            for _ in range(3):
                await take(items, 6)
                await asyncio.to_thread(modem.unplug)
                await asyncio.to_thread(modem.plug_in)
            after = await take(items, 12)
            assert sum(isinstance(item, CellReading) for item in after) > 6
            assert poller.counters.timeouts_in_a_row == 0

    with SimulatedModem(SceneScript("genuine"), tmp_path / "modem0") as modem:
        asyncio.run(live(modem))


def test_a_command_that_fails_ends_nothing(tmp_path: Path) -> None:
    """A modem that knows only one of the two commands still gives what it knows."""
    script = TranscriptScript(b'AT+QENG="neighbourcell"\n' + CELL + b"OK\n", "log")

    async def live(modem: SimulatedModem) -> None:
        async with polling(modem.link) as (poller, items):
            cells = await take(items, 4)
            assert {cell.raw for cell in cells} == {CELL.strip()}
            assert poller.counters.errors >= 4
            assert poller.counters.timeouts == 0

    with SimulatedModem(script, tmp_path / "modem0") as modem:
        asyncio.run(live(modem))


def test_a_replayed_byte_stream_gives_its_readings_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    path.write_bytes(CELL * 50 + CELL[:20])

    async def replayed() -> list[Item]:
        async with SerialPort(replay_url(path), clock=SystemClock()) as port:
            async with asyncio.timeout(30):
                return [item async for item in ModemPoller(port, dialect()).items()]

    items = asyncio.run(replayed())
    assert sum(isinstance(item, CellReading) for item in items) == 50
    assert isinstance(items[-1], Unreadable)
    assert items[-1].raw == CELL[:20]


# -- on cue ---------------------------------------------------------------------------------------


def test_a_modem_of_another_maker_is_named(tmp_path: Path) -> None:
    async def first(link: Path) -> Unreadable:
        async with SerialPort(str(link), clock=SystemClock(), backoff=QUICK) as port:
            poller = ModemPoller(port, QuectelDialect(sensor="modem0", file="modem0"))
            async with asyncio.timeout(30):
                async for item in poller.items():
                    if isinstance(item, Unreadable) and item.is_damage:
                        return item
        raise AssertionError("nothing was said")

    scene = RadioScene(GENUINE, CENTRE, lambda: 0.0)
    with SimulatedModem(PEERS["simcom_sim800"](scene), tmp_path / "modem0") as modem:
        said = asyncio.run(first(modem.link))
    assert said.reason == "it says that it is a simcom modem, not quectel"


class CuedPort:
    """A port whose answers are given by the test: each write brings on the next events."""

    name = "/dev/ttyUSB2"

    def __init__(self, answers: Sequence[Sequence[PortEvent] | PortError]) -> None:
        self._answers = list(answers)
        self._events: asyncio.Queue[PortEvent] = asyncio.Queue()
        self._events.put_nowait(PortOpened(self.name))
        self.written: list[bytes] = []

    async def next_event(self) -> PortEvent | None:
        return await self._events.get()

    async def write(self, data: bytes) -> None:
        self.written.append(data)
        if not self._answers:
            self._events.put_nowait(PortEnded(self.name))
            return
        answer = self._answers.pop(0)
        if isinstance(answer, PortError):
            raise answer
        for event in answer:
            self._events.put_nowait(event)


def data(text: bytes, dropped_before: int = 0) -> PortData:
    return PortData(
        port=CuedPort.name,
        data=text,
        received_us=1,
        received_mono_us=1,
        dropped_before=dropped_before,
    )


def run(port: CuedPort, *, silent_after: int = 3) -> tuple[list[Item], ModemPoller]:
    poller = ModemPoller(
        port, dialect(), period_s=0.0, answer_timeout_s=0.02, silent_after=silent_after
    )

    async def collect() -> list[Item]:
        async with asyncio.timeout(30):
            return [item async for item in poller.items()]

    return asyncio.run(collect()), poller


OK = [data(b"\r\nOK\r\n")]


def test_the_next_command_goes_out_only_after_the_final_result() -> None:
    waits = [data(b"\r\n" + CELL), data(b"O"), data(b"K"), data(b"\r\n")]
    port = CuedPort([waits, OK])
    items, poller = run(port)
    assert port.written == [SERVING, NEIGHBOURS, SERVING]
    assert len(items) == 1
    assert poller.counters.answers == 2


def test_one_final_result_answers_one_command() -> None:
    """A result that comes unasked lets no second command out."""
    port = CuedPort([[data(b"OK\r\nOK\r\nOK\r\n")], OK])
    _, poller = run(port)
    assert port.written == [SERVING, NEIGHBOURS, SERVING]
    assert poller.counters.answers == 2


@pytest.mark.parametrize("result", [b"ERROR", b"+CME ERROR: 10"])
def test_an_error_is_an_answer(result: bytes) -> None:
    port = CuedPort([[data(result + b"\r\n")], OK])
    _, poller = run(port)
    assert port.written == [SERVING, NEIGHBOURS, SERVING]
    assert (poller.counters.answers, poller.counters.errors) == (2, 1)


def test_a_silent_modem_is_reported_once_until_it_answers_again() -> None:
    port = CuedPort([[], [], [], [], OK, [], [], []])
    items, poller = run(port)
    assert [item.reason for item in items if isinstance(item, Unreadable)] == [
        "the port is open, but 3 commands in a row had no answer within 0.02 s each"
    ] * 2
    assert [item.file for item in items if isinstance(item, Unreadable)] == ["ttyUSB2"] * 2
    assert poller.counters.timeouts == 7
    # a time-out ends the round, so that the first command is asked again
    assert port.written[:6] == [SERVING] * 5 + [NEIGHBOURS]


def test_a_jammed_write_ends_the_round_and_is_counted() -> None:
    port = CuedPort([PortError(CuedPort.name, "Write timeout"), OK, OK])
    _, poller = run(port)
    assert port.written == [SERVING, SERVING, NEIGHBOURS, SERVING]
    assert poller.counters.write_failures == 1


def test_bytes_lost_on_the_way_never_join_two_halves_of_a_line() -> None:
    port = CuedPort([[data(CELL[:30]), data(CELL[30:] + CELL + b"OK\r\n", 512)]])
    items, _ = run(port)
    assert [type(item) for item in items] == [Unreadable, Unreadable, CellReading]


def test_half_a_line_before_an_unplugging_is_kept_apart() -> None:
    lost: list[PortEvent] = [
        data(CELL[:30]),
        PortLost("/dev/ttyUSB2", "gone"),
        PortOpened("/dev/ttyUSB2"),
    ]
    port = CuedPort([lost, [data(CELL[30:] + b"OK\r\n")]])
    items, _ = run(port)
    assert [item.raw for item in items] == [CELL[:30], CELL[30:].strip()]
    assert port.written == [SERVING, SERVING, NEIGHBOURS]
