"""How tests start the real MicroPython."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parent.parent / "firmware"
HEAP = "128k"
"""Smaller than a board's, and objects here are twice as big."""


def micropython() -> str:
    """The interpreter of the environment; missing is a failure, never a skip."""
    path = Path(sys.executable).with_name("micropython")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: make setup installs it (Linux x86-64, Python < 3.14)")
    return str(path)


def environment(*folders: Path) -> dict[str, str]:
    """The environment in which the board's modules are found."""
    paths = [*(str(f) for f in folders), str(HERE), str(FIRMWARE), ".frozen"]
    return {**os.environ, "MICROPYPATH": ":".join(paths)}


def run_file(path: Path, heap: str = HEAP) -> subprocess.CompletedProcess[str]:
    """Run one file to its end."""
    return subprocess.run(
        [micropython(), "-X", f"heapsize={heap}", str(path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
