"""``qianshao bench``: ratios against named peers, both measured in this run on this machine.

A ratio above 1 means that ours is that many times as fast (or as small) as the peer. Rows whose
peer is a target print how far we are from it; nothing here is asserted by a test.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RUNS = 5
_AGENT_TARGET_MB = 60.0
_VAN_RSS_TARGET_MB = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``ratio`` is peer / ours where less is better, ours / peer where more is."""

    name: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    unit: str
    runs: int


def _less_is_better(
    name: str, ours: float, peer: float, peer_name: str, unit: str, runs: int
) -> Row:
    return Row(name, round(ours, 3), round(peer, 3), peer_name, round(peer / ours, 2), unit, runs)


def _side_by_side(
    ours: Callable[[], None], peer: Callable[[], None], calls: int
) -> tuple[float, float]:
    """Median microseconds per call of both, run in turn so that a slow spell hits both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for index, function in enumerate((ours, peer)):
            started = time.perf_counter()
            for _ in range(calls):
                function()
            times[index].append((time.perf_counter() - started) / calls * 1e6)
    return statistics.median(times[0]), statistics.median(times[1])


def _bench_envelope() -> list[Row]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from pycose.headers import KID, Algorithm
    from pycose.keys import OKPKey
    from pycose.messages import Sign1Message

    from contract import open_envelope
    from contract.envelope import CONTENT_TYPE
    from contract.keys import KeySigner, KnownKey
    from qianshao.bench_samples import seal_sample

    private = Ed25519PrivateKey.generate()
    signer = KeySigner(private)
    known = KnownKey("van-01", private.public_key())
    raw = seal_sample(signer)
    pycose: Any = Sign1Message
    theirs = pycose.decode(raw)
    theirs.external_aad = b"qianshao/1\0demo"
    theirs.key = OKPKey(
        crv="ED25519", x=private.public_key().public_bytes_raw(), d=private.private_bytes_raw()
    )
    header = {Algorithm: theirs.phdr[Algorithm], KID: signer.kid}

    def sign_peer() -> None:
        message = pycose(phdr=dict(header), uhdr={}, payload=theirs.payload)
        message.external_aad = theirs.external_aad
        message.key = theirs.key
        message.encode()

    def verify_peer() -> None:
        message = pycose.decode(raw)
        message.external_aad = theirs.external_aad
        message.key = theirs.key
        message.verify_signature()

    sign = _side_by_side(lambda: _ignore(seal_sample(signer)), sign_peer, 200)
    check = _side_by_side(
        lambda: _ignore(open_envelope(raw, tenant="demo", find_key=lambda kid: known)),
        verify_peer,
        200,
    )
    assert CONTENT_TYPE.encode() in raw
    name = "pycose (payload already encoded)"
    return [
        _less_is_better("envelope_seal", *sign, name, "us", RUNS),
        _less_is_better("envelope_open", *check, name, "us", RUNS),
    ]


def _ignore(_: object) -> None:
    return None


def _bench_outbox() -> list[Row]:
    from qianshao.bench_samples import open_outbox, sample_bodies

    messages = 300
    ours: list[float] = []
    peer: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(RUNS):
            outbox = open_outbox(Path(folder) / f"outbox{run}.db")
            started = time.perf_counter()
            for done in [outbox.put(body, lane) for body, lane in sample_bodies(messages, run)]:
                done.result(timeout=30)
            ours.append((time.perf_counter() - started) / messages * 1e6)
            outbox.close()
            peer.append(_one_commit_each(Path(folder) / f"peer{run}.db", messages))
    name = "sqlite3, WAL, synchronous=FULL, one commit a message, unsigned"
    row = _less_is_better(
        "outbox_put_durable", statistics.median(ours), statistics.median(peer), name, "us", RUNS
    )
    return [row]


def _one_commit_each(path: Path, messages: int) -> float:
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE evt (seq INTEGER PRIMARY KEY, id BLOB UNIQUE, cose BLOB)")
    blob = bytes(400)
    started = time.perf_counter()
    for seq in range(messages):
        store.execute("INSERT INTO evt VALUES (?, ?, ?)", (seq, seq.to_bytes(16, "big"), blob))
    took = time.perf_counter() - started
    store.close()
    return took / messages * 1e6


def _bench_face() -> list[Row]:
    from qianshao.bench_samples import face_steps

    ours, peer = face_steps()
    times = _side_by_side(ours, peer, 5)
    name = "OpenCV FaceDetectorYN + FaceRecognizerSF called directly"
    return [_less_is_better("face_detect_and_encode", *times, name, "us", RUNS)]


def _bench_size() -> list[Row]:
    return [_installed_agent(), _van_memory()]


def _installed_agent() -> Row:
    """Install the bare agent from its lock into a folder of its own and weigh its site-packages."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "agent"
        subprocess.run(
            [sys.executable, root / "requirements" / "install.py", "agent", target],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        site = next(target.glob("lib/python3*/site-packages"))
        # The environment also holds pip and uv, which set it up and never run on a device.
        tools = ("pip", "uv", "setuptools", "_distutils_hack")
        size = sum(
            file.lstat().st_size
            for file in site.rglob("*")
            if file.is_file() and file.relative_to(site).parts[0].split("-")[0] not in tools
        )
    return _less_is_better("agent_installed", size / 1e6, _AGENT_TARGET_MB, "target", "MB", 1)


def _van_memory() -> Row:
    """Run the demo for a while and read the resident memory of its van agent."""
    from qianshao.demo import run_for_figures

    figures = run_for_figures(seconds=20)
    return _less_is_better(
        "van_agent_rss", figures["van_rss_mb"], _VAN_RSS_TARGET_MB, "target", "MB", 1
    )


BENCHES: dict[str, Callable[[], list[Row]]] = {
    "envelope": _bench_envelope,
    "outbox": _bench_outbox,
    "face": _bench_face,
    "size": _bench_size,
}


def _table(rows: Sequence[Row]) -> str:
    lines = [f"{'name':24} {'ours':>10} {'peer':>10} {'unit':5} {'ratio':>7}  peer"]
    lines += [
        f"{r.name:24} {r.ours:10.1f} {r.peer:10.1f} {r.unit:5} {r.ratio:7.2f}  {r.peer_name}"
        for r in rows
    ]
    return "\n".join(lines)


def main_bench(args: argparse.Namespace) -> int:
    """Run the chosen comparisons and print them."""
    wanted = BENCHES if args.what == "all" else {args.what: BENCHES[args.what]}
    rows: list[Row] = []
    for name, bench in wanted.items():
        print(f"bench: {name} …", file=sys.stderr)
        rows += bench()
    print(json.dumps([asdict(r) for r in rows], indent=1) if args.json else _table(rows))
    return 0
