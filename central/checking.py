"""Signatures, checked by a process of their own while this one stores what was checked before.

A signature takes longer than all else that is done with a message. OpenSSL checks it outside the
interpreter's lock, but a thread for that has to be woken for every single one, which costs as much
as it gains. A process is handed a hundred at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import marshal
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, Protocol

import structlog

from contract.envelope import Signed
from contract.keys import PublicKey, load_public_pem, public_pem, verifies

Results = Callable[[], Sequence[bool]]
"""Waits for what became of each signature, in order."""

_PIPE_BYTES = 1 << 20
"""What waits in the pipe: as much as Linux gives without a privilege, over a thousand messages."""
_PATIENCE_S = 30.0
_REST_S = 60.0
"""After the process failed; meanwhile signatures are checked here."""
_KNOWN_KEYS = 4096
_HEAD = struct.Struct("!II")
"""Number of a request and how many bytes follow."""

_log = structlog.get_logger(__name__)


class SignatureCheck(Protocol):
    """Who checks signatures."""

    def begin(self, messages: Sequence[Signed]) -> Results:
        """Begin with some messages. Results are asked for in the order of the beginnings."""

    def close(self) -> None:
        """End it."""


class CheckHere:
    """Checks in the caller's thread, when asked for the results."""

    def begin(self, messages: Sequence[Signed]) -> Results:
        """As of the interface."""
        return lambda: _check(messages)

    def close(self) -> None:
        """There is nothing to end."""


def _check(messages: Sequence[Signed]) -> list[bool]:
    return [message.is_good() for message in messages]


def suitable_check() -> SignatureCheck:
    """A process beside this one, where there is a second processor for it."""
    return CheckBeside() if len(os.sched_getaffinity(0)) > 1 else CheckHere()


class CheckBeside:
    """Checks in a process of its own; in the caller's thread while that is not to be had.

    The process begins with the first messages.
    """

    def __init__(self, patience_s: float = _PATIENCE_S, rest_s: float = _REST_S) -> None:
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before_s = 0.0
        self._asked = 0
        self._pems: dict[bytes, str] = {}

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def begin(self, messages: Sequence[Signed]) -> Results:
        """As of the interface."""
        process = self._running()
        if process is None:
            return lambda: _check(messages)
        self._asked = number = (self._asked + 1) % (1 << 32)
        jobs = [(self._pem_of(m), m.algorithm, m.signed, m.signature) for m in messages]
        try:
            _write(process.stdin, number, marshal.dumps(jobs))
        except OSError as error:
            self._failed(process, error)
        return lambda: self._results(process, number, messages)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self._not_before_s = float("inf")
        if process is not None:
            _end(process)

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._process is None and time.monotonic() >= self._not_before_s:
            try:
                self._process = _start()
            except OSError as error:
                self._not_before_s = time.monotonic() + self._rest_s
                _log.warning("checking_process_missing", problem=str(error))
        return self._process

    def _pem_of(self, message: Signed) -> str:
        pem = self._pems.get(message.kid)
        if pem is None:
            if len(self._pems) >= _KNOWN_KEYS:
                self._pems.clear()
            pem = self._pems[message.kid] = public_pem(message.known.public)
        return pem

    def _results(
        self, process: subprocess.Popen[bytes], number: int, messages: Sequence[Signed]
    ) -> Sequence[bool]:
        if process is self._process:
            try:
                while (answer := _read(process.stdout, self._patience_s))[0] != number:
                    pass  # of a beginning whose results nobody wanted
                if len(answer[1]) != len(messages):
                    raise OSError(f"{len(answer[1])} answers to {len(messages)} questions")
            except OSError as error:
                self._failed(process, error)
            else:
                return [word == 1 for word in answer[1]]
        return _check(messages)

    def _failed(self, process: subprocess.Popen[bytes], error: OSError) -> None:
        _log.warning("checking_process_failed", pid=process.pid, problem=str(error))
        self._process = None
        self._not_before_s = time.monotonic() + self._rest_s
        _end(process)


def _start() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "central.checking"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # a smaller one only makes us wait
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it; it ends by itself where nobody can speak to it any more."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.kill()
    process.wait()


def _write(pipe: IO[bytes] | None, number: int, data: bytes) -> None:
    assert pipe is not None
    view = memoryview(_HEAD.pack(number, len(data)) + data)
    while view:
        view = view[os.write(pipe.fileno(), view) :]


def _read(pipe: IO[bytes] | None, patience_s: float | None) -> tuple[int, bytes]:
    """Return a number and what follows; raises OSError where nothing comes, EOFError at the end."""
    assert pipe is not None
    number, size = _HEAD.unpack(_read_bytes(pipe, _HEAD.size, patience_s))
    return number, _read_bytes(pipe, size, patience_s)


def _read_bytes(pipe: IO[bytes], size: int, patience_s: float | None) -> bytes:
    found = bytearray()
    while len(found) < size:
        if patience_s is not None and not select.select([pipe], [], [], patience_s)[0]:
            raise TimeoutError(f"no answer in {patience_s:g} s")
        piece = os.read(pipe.fileno(), size - len(found))
        if not piece:
            raise ConnectionResetError("it has ended")
        found += piece
    return bytes(found)


@functools.lru_cache(_KNOWN_KEYS)
def _key(pem: str) -> PublicKey:
    return load_public_pem(pem)


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until nobody asks any more."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while True:
            number, data = _read(questions, None)
            jobs = marshal.loads(data)  # noqa: S302 - from the process that started this one
            words = bytes(verifies(_key(pem), *rest) for pem, *rest in jobs)
            _write(answers, number, words)


if __name__ == "__main__":
    # A stop is for the one that asks, which still has something to finish; this one ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
