"""The agent's numbers for Prometheus: a loopback port, closed unless the configuration opens it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from contract.messages import Health
from contract.words import PartState

LOOPBACK = "127.0.0.1"
MAX_REQUEST_BYTES = 4096
REQUEST_S = 2.0

_NAME = re.compile(r"[^a-zA-Z0-9_]")


def render(health: Health) -> str:
    """Return a health report in Prometheus' text format, version 0.0.4; texts are left out."""
    lines = [
        "# TYPE qianshao_uptime_seconds gauge",
        f"qianshao_uptime_seconds {health.uptime_s}",
        "# TYPE qianshao_part_state gauge",
    ]
    for part in health.parts:
        for state in PartState:
            is_so = int(part.state is state)
            lines.append(
                f'qianshao_part_state{{part="{_label(part.name)}",state="{state.value}"}} {is_so}'
            )
    numbers: dict[str, list[str]] = {}
    for part in health.parts:
        for name, value in part.counters.items():
            if isinstance(value, int | float):
                line = f'{{part="{_label(part.name)}"}} {float(value):g}'
                numbers.setdefault(f"qianshao_{_NAME.sub('_', name)}", []).append(line)
    for name, values in sorted(numbers.items()):
        lines += [f"# TYPE {name} untyped", *(name + value for value in values)]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


async def serve(port: int, health: Callable[[], Health]) -> asyncio.Server:
    """Answer ``GET /metrics`` on the loopback; port 0 takes any. Raises OSError if it is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
            is_asked = head.startswith((b"GET /metrics ", b"GET /metrics?"))
            body = render(health()).encode() if is_asked else b"only /metrics is here\n"
            status = b"200 OK" if is_asked else b"404 Not Found"
            writer.write(
                b"HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)
            )
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or asks nothing that we know
        finally:
            writer.close()

    return await asyncio.start_server(answer, LOOPBACK, port, limit=MAX_REQUEST_BYTES)
