"""A bare agent has no numpy: modems and captures run without, and a sweep says which extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BLOCKED = "import sys; sys.modules['numpy'] = None; "


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_agent_and_the_command_start_without_numpy() -> None:
    done = run("import edge_agent.app, qianshao.__main__, qianshao.replay, hardware.recordings")
    assert done.returncode == 0, done.stderr


def test_a_sweep_without_numpy_is_a_usage_error_that_names_the_extra(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("2026-11-25, 20:00:00, 88000000, 88200000, 50000, 9, -50, -51, -52, -53\n")
    code = "from qianshao.__main__ import main; sys.exit(main(['rf', 'replay', sys.argv[1]]))"
    done = run(code, str(rows))
    assert done.returncode == 2
    assert "qianshao[rf]" in done.stderr
