"""A TCP line that fails as told: in front of any broker, for any client.

As a program: ``python -m mqtt_bridge.testing.proxy HOST:PORT --delay 0.2 --throttle 2000``.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import threading
import time
from dataclasses import dataclass, replace

from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.testing.peer import Server

_CONNECT_S = 5.0
_PIECE = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What one direction of the line does. All may be combined; the default is a good line."""

    delay_s: float = 0.0
    """Each piece of up to 64 KiB is passed on this much later, and the next not before."""
    bytes_per_s: float | None = None
    """A slow line."""
    is_dropping: bool = False
    """Takes everything and passes on nothing, without a word: a dead radio link."""
    cut_at_byte: int | None = None
    """Both ends lose a connection when so many bytes of it have passed this way."""
    half_close_at_byte: int | None = None
    """The receiver sees the end of the stream after so many bytes; the other way stays open."""


class FaultProxy:
    """Listens on the loopback and connects each guest to the target.

    ``up`` is the direction towards the target, ``down`` the one back. Both may be changed at any
    time and hold for what passes from then on.
    """

    def __init__(
        self, target: BrokerAddress, *, up: Faults | None = None, down: Faults | None = None
    ) -> None:
        self.up = up or Faults()
        self.down = down or Faults()
        self._target = target
        self._far: list[socket.socket] = []
        self._server = Server(self._serve)

    @property
    def address(self) -> BrokerAddress:
        """Where a client connects, with the target's TLS files."""
        return replace(self._server.address, tls=self._target.tls)

    @property
    def connections(self) -> int:
        """How many have connected so far."""
        return self._server.connections

    def cut(self) -> None:
        """End every connection now."""
        self._server.hang_up()
        for far in self._far:
            with contextlib.suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End everything."""
        self.cut()
        self._server.close()
        for far in self._far:
            far.close()

    def _serve(self, near: socket.socket) -> None:
        far = socket.create_connection((self._target.host, self._target.port), _CONNECT_S)
        far.settimeout(None)
        self._far.append(far)
        back = threading.Thread(target=self._pass, args=(far, near, False), daemon=True)
        back.start()
        self._pass(near, far, True)
        back.join()

    def _pass(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                faults = self.up if is_up else self.down
                if faults.is_dropping:
                    continue
                self._wait(faults, len(data))
                data, verdict = _up_to_the_fault(data, passed, faults)
                sink.sendall(data)
                passed += len(data)
                if verdict == "cut":
                    _end(source, sink)
                    return
                if verdict == "half_close":
                    break
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    @staticmethod
    def _wait(faults: Faults, size: int) -> None:
        wait_s = faults.delay_s
        if faults.bytes_per_s is not None:
            wait_s += size / faults.bytes_per_s
        if wait_s:
            time.sleep(wait_s)


def _up_to_the_fault(data: bytes, passed: int, faults: Faults) -> tuple[bytes, str]:
    for at, verdict in ((faults.cut_at_byte, "cut"), (faults.half_close_at_byte, "half_close")):
        if at is not None and passed + len(data) >= at:
            return data[: max(0, at - passed)], verdict
    return data, ""


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Run a proxy until it is interrupted."""
    parser = argparse.ArgumentParser(description="A TCP line that fails as told.")
    parser.add_argument("target", help="HOST:PORT of the broker")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="each way")
    parser.add_argument("--throttle", type=float, metavar="BYTES", help="bytes a second each way")
    parser.add_argument(
        "--cut-at", type=int, metavar="N", help="end each connection after N bytes upwards"
    )
    args = parser.parse_args()
    host, _, port = args.target.rpartition(":")
    faults = Faults(delay_s=args.delay, bytes_per_s=args.throttle)
    up = replace(faults, cut_at_byte=args.cut_at)
    proxy = FaultProxy(BrokerAddress(host=host, port=int(port)), up=up, down=faults)
    print(f"{proxy.address.host}:{proxy.address.port}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    proxy.close()


if __name__ == "__main__":
    main()
