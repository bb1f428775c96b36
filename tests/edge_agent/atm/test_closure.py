"""A machine that an alarm closed stays closed until a named person opens it."""

from __future__ import annotations

from pathlib import Path

from contract.clock import UnixMicros, VirtualClock
from edge_agent.atm.closure import FILE_NAME, LOG_NAME, Closure


def test_it_stays_closed_over_a_restart_until_a_person_opens_it(tmp_path: Path) -> None:
    clock = VirtualClock(UnixMicros(1_764_000_000_000_000))
    assert Closure(tmp_path).problem() is None
    Closure(tmp_path).close("second_client: 2 clients")
    Closure(tmp_path).close("a later reason")
    again = Closure(tmp_path)
    assert again.problem() == "second_client: 2 clients"
    assert again.open("Li", clock) == "second_client: 2 clients"
    assert again.problem() is None
    assert again.open("Li", clock) is None
    assert "opened by Li; closed for: second_client" in (tmp_path / LOG_NAME).read_text("utf-8")


def test_a_file_that_nobody_can_read_closes(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    assert "cannot be read" in str(Closure(tmp_path).problem())
    (tmp_path / FILE_NAME).write_bytes(b"")
    assert Closure(tmp_path).problem() == "closed"
