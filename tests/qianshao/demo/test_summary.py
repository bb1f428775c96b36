"""The count at the end stands also where an agent never came to begin."""

from __future__ import annotations

from pathlib import Path

from qianshao.demo.site import ATM, Site, Visitor
from qianshao.demo.summary import _outbox


def test_an_agent_that_never_began_has_nothing_waiting(tmp_path: Path) -> None:
    assert _outbox(Site(tmp_path, 1, 2, 3, Visitor("demo", "", "", "")), ATM) == (0, set(), 0)
