"""Each check_*.py in an interpreter of its own, with the heap of a board."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.on_micropython.interpreter import HERE, environment, micropython, run_file


@pytest.mark.parametrize("path", sorted(HERE.glob("check_*.py")), ids=lambda p: p.stem)
def test_check(path: Path) -> None:
    done = run_file(path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed, 0 failed" in done.stdout


def test_the_runner_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "check_false.py"
    path.write_text("from kit import run\ndef test_no():\n    assert 0\nrun(globals())\n")
    assert run_file(path).returncode == 1
    path.write_text("from kit import run\nrun(globals())\n")
    assert run_file(path).returncode == 1


def test_recorded_frames(field_data: Path) -> None:
    """Golden frames made by another implementation."""
    path = field_data / "firmware" / "frame_vectors.json"
    vectors = json.loads(path.read_text())["vectors"]
    program = (
        "import sys,json\nfrom binascii import hexlify,unhexlify,crc32\nfrom sniffer import cobs\n"
        "for v in json.load(sys.stdin):\n"
        "    p=unhexlify(v['payload']); b=p+crc32(p).to_bytes(4,'little')\n"
        "    t=bytearray(len(b)+3); n=cobs.encode(b,len(b),t); t[n]=0\n"
        "    d=bytearray(t[:n]); m=cobs.decode(d,n)\n"
        "    print(hexlify(t[:n+1]).decode(), bytes(d[:m])==b)\n"
    )
    done = subprocess.run(
        [micropython(), "-c", program],
        input=json.dumps(vectors),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line.split() for line in done.stdout.splitlines()]
    assert [s[0] for s in said] == [v["frame_cobs_payload_crc32le_00"] for v in vectors]
    assert all(s[1] == "True" for s in said)
    assert len(vectors) == 10
