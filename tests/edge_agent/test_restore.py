"""A copy of the state that is put back as docs/operating.md says never uses a number again."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.edge_agent.outboxes import Bench, fill


def test_a_whole_old_copy_goes_on_above_the_number_that_was_written(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    state.mkdir()
    bench = Bench(state)
    outbox = bench.open()
    fill(outbox, 1)
    outbox.close()
    shutil.copytree(state, copy)
    outbox = bench.open()
    used = fill(outbox, 40, first=1)
    outbox.close()
    shutil.rmtree(state)
    copy.rename(state)
    (state / "seq.floor").write_text("5000\n", encoding="ascii")
    outbox = bench.open()
    (fresh,) = fill(outbox, 1, first=99)
    outbox.close()
    assert fresh > 5000 > max(used)
