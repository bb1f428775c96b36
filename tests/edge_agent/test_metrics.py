"""Numbers for Prometheus: in its format, on the loopback, to whoever asks properly."""

from __future__ import annotations

import asyncio

from contract.messages import Health, PartHealth
from contract.words import PartState
from edge_agent.metrics import render, serve

HEALTH = Health(
    uptime_s=61,
    version="1",
    parts=(
        PartHealth(
            name='sensor "m0"', state=PartState.OK, detail="x", counters={"last_data_age_s": 1.5}
        ),
        PartHealth(name="outbox", state=PartState.FAILED, counters={"depth": 3, "word": "no"}),
    ),
)


def test_every_part_and_number_is_there_and_no_text() -> None:
    lines = render(HEALTH).splitlines()
    assert "qianshao_uptime_seconds 61" in lines
    assert 'qianshao_last_data_age_s{part="sensor \\"m0\\""} 1.5' in lines
    assert 'qianshao_depth{part="outbox"} 3' in lines
    assert 'qianshao_part_state{part="outbox",state="failed"} 1' in lines
    assert not any("word" in line for line in lines)


def test_who_asks_is_answered_and_nonsense_stops_nothing() -> None:
    async def talk() -> list[bytes]:
        server = await serve(0, lambda: HEALTH)
        port = server.sockets[0].getsockname()[1]
        answers = []
        for request in (
            b"\x00" * 9000,
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            try:
                answers.append(await reader.read(10_000))
            except OSError:
                answers.append(b"")
            writer.close()
        server.close()
        await server.wait_closed()
        return answers

    nonsense, elsewhere, metrics = asyncio.run(talk())
    assert nonsense == b""
    assert elsewhere.startswith(b"HTTP/1.1 404")
    assert b"qianshao_uptime_seconds 61\n" in metrics
