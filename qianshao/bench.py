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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from qianshao.bench_stream import Listeners

RUNS = 5
DELIVERY_RUNS = 3
ENVELOPES = 200
MESSAGES = 300
FRAMES = 20_000
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


class _Pycose:
    """The peer: the same envelope through pycose, over the same payload."""

    def __init__(self, raw: bytes, private: Ed25519PrivateKey, kid: bytes) -> None:
        from pycose.headers import KID, Algorithm
        from pycose.keys import OKPKey
        from pycose.messages import Sign1Message

        self._raw = raw
        self._make: Any = Sign1Message
        self._aad = b"qianshao/1\0demo"
        self._key = OKPKey(
            crv="ED25519", x=private.public_key().public_bytes_raw(), d=private.private_bytes_raw()
        )
        decoded = Sign1Message.decode(raw)
        self._payload = decoded.payload
        self._header = {Algorithm: decoded.phdr[Algorithm], KID: kid}

    def seal(self) -> bytes:
        """Sign a payload that is encoded already."""
        message = self._make(phdr=dict(self._header), uhdr={}, payload=self._payload)
        message.external_aad, message.key = self._aad, self._key
        encoded: bytes = message.encode()
        return encoded

    def open(self) -> object:
        """Verify and decode the payload, without looking at its form or fields."""
        import cbor2

        message = self._make.decode(self._raw)
        message.external_aad, message.key = self._aad, self._key
        if not message.verify_signature():
            raise ValueError("the peer refuses the message")
        return cbor2.loads(message.payload)


def _peer() -> tuple[Any, Any, _Pycose]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from contract.keys import KeySigner
    from qianshao.bench_samples import seal_sample

    private = Ed25519PrivateKey.generate()
    signer = KeySigner(private)
    return private, signer, _Pycose(seal_sample(signer), private, signer.kid)


def _bench_envelope() -> list[Row]:
    from contract import open_envelope
    from contract.keys import KnownKey
    from qianshao.bench_samples import seal_sample

    private, signer, peer = _peer()
    known = KnownKey("van-01", private.public_key())
    raw = seal_sample(signer)
    sign = _side_by_side(
        lambda: _ignore(seal_sample(signer)), lambda: _ignore(peer.seal()), ENVELOPES
    )
    check = _side_by_side(
        lambda: _ignore(open_envelope(raw, tenant="demo", find_key=lambda kid: known)),
        lambda: _ignore(peer.open()),
        ENVELOPES,
    )
    return [
        _less_is_better("envelope_seal", *sign, "pycose, payload encoded before", "us", RUNS),
        _less_is_better("envelope_open", *check, "pycose, fields unchecked", "us", RUNS),
    ]


def _ignore(_: object) -> None:
    return None


def _bench_outbox() -> list[Row]:
    from qianshao.bench_samples import open_outbox, sample_bodies

    ours: list[float] = []
    peer: list[float] = []
    _, _, pycose = _peer()
    with tempfile.TemporaryDirectory() as folder:
        for run in range(RUNS):
            place = Path(folder) / str(run)
            place.mkdir()
            outbox = open_outbox(place / "outbox.sqlite3")
            started = time.perf_counter()
            for done in [outbox.put(body, lane) for body, lane in sample_bodies(MESSAGES, run)]:
                done.result(timeout=30)
            ours.append((time.perf_counter() - started) / MESSAGES * 1e6)
            outbox.close()
            peer.append(_one_commit_each(place / "peer.sqlite3", pycose))
    name = "pycose + sqlite3 (WAL, synchronous=FULL), one commit a message"
    medians = statistics.median(ours), statistics.median(peer)
    return [_less_is_better("outbox_put_durable", *medians, name, "us", RUNS), *_bench_groups()]


def _one_commit_each(path: Path, pycose: _Pycose) -> float:
    """Sign and store each message durably by itself; microseconds a message."""
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE evt (seq INTEGER PRIMARY KEY, id BLOB UNIQUE, cose BLOB)")
    started = time.perf_counter()
    for seq in range(MESSAGES):
        row = (seq, seq.to_bytes(16, "big"), pycose.seal())
        store.execute("INSERT INTO evt VALUES (?, ?, ?)", row)
    took = time.perf_counter() - started
    store.close()
    return took / MESSAGES * 1e6


def _more_is_better(
    name: str, ours: float, peer: float, peer_name: str, unit: str, runs: int
) -> Row:
    return Row(name, round(ours, 1), round(peer, 1), peer_name, round(ours / peer, 2), unit, runs)


def _bench_groups() -> list[Row]:
    """On this disk, and where its commits are quick on one that takes 3 ms longer.

    Then the parts: the store alone with signed messages, and the signing.
    """
    from qianshao import bench_enqueue as b

    def row(name: str, pair: tuple[float, float], peer: str) -> Row:
        return _less_is_better(name, *pair, peer, "us", DELIVERY_RUNS)

    fsync_us = b.fsync_us()
    here = f"one by one; here fdatasync of 4 KiB takes {fsync_us:.0f} us"
    rows = [row("outbox_put_100", b.enqueue_groups(), here)]
    if fsync_us < b.SLOW_FROM_US:
        slow = f"one by one; {b.SLOW_DISK_S * 1e3:.0f} ms slept in each commit"
        pair = b.enqueue_groups(slower_s=b.SLOW_DISK_S)
        rows.append(row("outbox_put_100_slow_disk", pair, slow))
    rows.append(row("outbox_store_signed_100", b.store_groups(), "signed already, one by one"))
    rows.append(row("outbox_sign", b.signing(), "the bare Ed25519 signature"))
    return rows


def _bench_ingest() -> list[Row]:
    from qianshao.bench_delivery import ingest, sustained

    stored = _more_is_better(
        "ingest_verify_and_store", *ingest(), "verify alone, processor time", "/s", DELIVERY_RUNS
    )
    way, peer = sustained(), "raw paho QoS 1, unsigned, kept nowhere"
    sent = _more_is_better("sign_enqueue_send_receipt", *way.rate, peer, "/s", DELIVERY_RUNS)
    # Where the rest goes: processor time of each process, for one message.
    shares = [
        _less_is_better(f"sign_enqueue_send_receipt_{name}", *pair, peer, "cpu-us", DELIVERY_RUNS)
        for name, pair in way.cpu_us.items()
        if pair[1] > 0
    ]
    return [stored, sent, *shares]


def _bench_face() -> list[Row]:
    """Processor time of one thread, so that a loaded machine does not count."""
    from qianshao.bench_samples import face_steps, window_step

    steps = face_steps()
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(4 * RUNS):
        for name, step in steps.items():
            started = time.process_time()
            step()
            spent[name].append((time.process_time() - started) * 1e3)
    medians = {name: statistics.median(times) for name, times in spent.items()}
    names = {
        "opencv": "OpenCV FaceDetectorYN + FaceRecognizerSF called directly",
        "face_recognition": "face_recognition 1.3.0 on dlib, as its readme says",
    }
    modes = {
        "ours": "decision",
        "ours_closer": "closer_look",
        "ours_steady": "steady",
        "ours_full": "full",
    }
    rows = [
        _less_is_better(f"face_{mode}_{key}", medians[step], medians[key], name, "cpu-ms", 4 * RUNS)
        for key, name in names.items()
        for step, mode in modes.items()
    ]
    step, times = window_step(), []
    for _ in range(20 * RUNS):
        started = time.perf_counter()
        step()
        times.append((time.perf_counter() - started) * 1e3)
    target = _less_is_better(
        "face_window_10000", statistics.median(times), 1.0, "target", "ms", len(times)
    )
    return [*rows, target, *_first_decision()]


_FIRST_DECISION = """
import sys, time
picture = sys.stdin.buffer.read()
started = time.process_time()
from atm_face.engines.sface import SFaceEngine
from atm_face.images import decode_image
engine = SFaceEngine()
image = decode_image(picture, "portrait")
engine.encode(image, engine.detect(image)[0])
spent = time.process_time() - started
lines = open("/proc/self/status").read().splitlines()
print(spent, next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")))
"""


def _first_decision() -> list[Row]:
    """Seconds from nothing to the first template in a process of its own, and its memory."""
    from hardware.simulators.portraits import portrait

    command = [sys.executable, "-c", _FIRST_DECISION]
    done = subprocess.run(command, check=True, capture_output=True, input=portrait())
    seconds, peak_mb = (float(word) for word in done.stdout.split())
    return [
        _less_is_better("face_first_decision", seconds, 1.5, "target", "cpu-s", 1),
        _less_is_better("face_rss", peak_mb, 250.0, "target", "MB", 1),
    ]


def _bench_board() -> list[Row]:
    """Records that a bad line made wrong and that were taken for good, in percent of those sent.

    Where ours took none the ratio counts it as one, so it says "at least".
    """
    from hardware.board.fuzz import FRAMINGS, campaign

    rows = []
    ours, *peers = FRAMINGS
    for rate in (1e-3, 1e-2):
        mine = campaign(rate, frames=FRAMES, seed=1, framing=ours)
        for peer in peers:
            other = campaign(rate, frames=FRAMES, seed=1, framing=peer)
            wrong = [100 * r.accepted_wrong / FRAMES for r in (mine, other)]
            ratio = round(wrong[1] / max(wrong[0], 100 / FRAMES), 2) if any(wrong) else 1.0
            name = f"frames_wrong_{rate:.0e}"
            rows.append(Row(name, wrong[0], round(wrong[1], 2), peer, ratio, "%", 1))
            intact = [100 * r.intact / FRAMES for r in (mine, other)]
            ratio = round(intact[0] / intact[1], 3)
            name = f"frames_intact_{rate:.0e}"
            rows.append(Row(name, round(intact[0], 2), round(intact[1], 2), peer, ratio, "%", 1))
    return rows


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


def _bench_spectrum() -> list[Row]:
    from qianshao.bench_spectrum import (
        DETECT_TARGET_US,
        SWEEPS_A_SECOND,
        WEEK_TARGET_MB,
        detection_step_us,
        parse_steps,
        week_rss_mb,
    )

    times = _side_by_side(*parse_steps(), 100)
    name = "a struct.unpack_from loop over the points"
    took = detection_step_us()
    core = took.cpu_median_us * SWEEPS_A_SECOND / 1e4
    target = "target: median of one sweep, 24 stations"
    return [
        _less_is_better("tinysa_2050_points", *times, name, "us", RUNS),
        *(
            _less_is_better(f"detect_2050_points{name}", us, DETECT_TARGET_US, what, "us", 400)
            for name, us, what in (
                ("", took.median_us, target),
                ("_p99", took.p99_us, "the same, of the slowest"),
                ("_cpu", took.cpu_median_us, "the same, processor time"),
                ("_cpu_p99", took.cpu_p99_us, "the same, processor time of the slowest"),
            )
        ),
        _less_is_better("detect_core_share", core, 5.0, "target: 4 sweeps a second", "%", 400),
        _less_is_better("detect_week_rss", week_rss_mb(), WEEK_TARGET_MB, "target", "MB", 1),
    ]


def _bench_stream() -> list[Row]:
    """Alerts to 200 open pages; the peer is the target of two seconds."""
    from qianshao.bench_stream import measure

    return _stream_rows("stream", measure())


def _stream_rows(name: str, heard: Listeners) -> list[Row]:
    from qianshao.bench_stream import BROWSERS, missing, p95_ms

    peer, lost = f"target, {BROWSERS} pages", missing(heard)
    return [
        _less_is_better(f"{name}.alert_p95", p95_ms(heard), 2000.0, peer, "ms", 1),
        Row(f"{name}.frames_missing", lost, 0, peer, 0.0 if lost else 1.0, "frames", 1),
    ]


def _bench_intake() -> list[Row]:
    """Alarms of 110 to open cases; the peer is the target of one second."""
    from qianshao.bench_intake import ALARMS, CASES, TARGET_MS, figures

    http, message, slowest = figures()
    peer = f"target; {ALARMS} alarms, {CASES} cases of the day in the store"
    return [
        _less_is_better("intake.webhook_p95", http, TARGET_MS, peer, "ms", 1),
        _less_is_better("intake.message_p95", message, TARGET_MS, peer, "ms", 1),
        _less_is_better("intake.slowest", slowest, TARGET_MS, peer, "ms", 1),
    ]


def _bench_rf() -> list[Row]:
    from qianshao import bench_rf

    rate = round(bench_rf.at_rate(), 1)
    target = bench_rf.TARGET_READINGS_S
    ratio = round(rate / target, 2)
    rows = [Row("rf_at_detect", rate, target, "target", ratio, "1/s", bench_rf.RUNS)]
    times = bench_rf.capture_seconds()
    if times is not None:
        ours, peer, name = times
        what = f"tshark -r, {name}"
        rows.append(_less_is_better("rf_gsmtap_detect", ours, peer, what, "s", bench_rf.RUNS))
    return rows


def _bench_central(where: str = "sqlite") -> list[Row]:
    from qianshao.bench_central import measure
    from qianshao.bench_fill import ALERTS, OBSERVATIONS

    found = measure(where)
    full = f"{ALERTS} alerts, {OBSERVATIONS} observations"
    kept = found.ingest_meanwhile / found.ingest_alone
    return [
        _less_is_better(
            "central_list_page_p95",
            found.page_p95_ms,
            300.0,
            f"target; {full}; slowest {found.slowest_page}",
            "ms",
            1,
        ),
        _less_is_better(
            "central_first_page",
            found.largest_page_bytes / 1000,
            200.0,
            f"target; largest {found.largest_page}",
            "kB",
            1,
        ),
        *(
            _less_is_better(f"central_page_p95 {path}", p95_ms, 300.0, "target", "ms", 1)
            for path, p95_ms in found.p95_ms.items()
        ),
        Row(
            "central_ingest_meanwhile",
            round(found.ingest_meanwhile, 1),
            round(found.ingest_alone, 1),
            "ingest with nobody at the pages (target 0.8)",
            round(kept, 2),
            "1/s",
            3,
        ),
        *_stream_rows("central_stream", found.heard),
    ]


def _bench_atm() -> list[Row]:
    from qianshao.bench_atm import DECISIONS, LOOK_UPS, measure
    from qianshao.bench_atm_orders import measure_orders
    from qianshao.logs import configure_logs

    configure_logs(least="error")  # each order is logged; the table goes to stdout
    found = measure()
    target = "target, arrival to enforced"
    return [
        *(
            _less_is_better(
                f"atm_{one.type.value}_p95", one.p95_ms, 1000.0, target, "ms", len(one.took_ms)
            )
            for one in measure_orders()
        ),
        _less_is_better(
            "atm_decision_p95", found.decision_p95_ms, 400.0, "target", "ms", DECISIONS
        ),
        _less_is_better(
            "atm_policy_10m_p95",
            found.policy_p95_ms,
            1.0,
            "target, 10 million listed accounts",
            "ms",
            LOOK_UPS,
        ),
    ]


def _bench_lists() -> list[Row]:
    from qianshao.bench_lists import DEDUPE_S, DELTA_S, REBUILD_S, measure

    found, target = measure(), "target, 10 million accounts"
    return [
        _less_is_better("list_rebuild", found.rebuild_s, REBUILD_S, target, "s", 1),
        _less_is_better("list_rebuild_memory", found.rebuild_mib, 256.0, target, "MiB", 1),
        _less_is_better("list_next_at_central", found.next_s, REBUILD_S, target, "s", 1),
        _less_is_better("list_delta_10k_at_atm", found.apply_s, DELTA_S, target, "s", 1),
        _less_is_better("list_delta_memory", found.apply_mib, 256.0, target, "MiB", 1),
        _less_is_better(
            "numbers_dedupe_1m", found.dedupe_s, DEDUPE_S, "target, 1 million rows", "s", 1
        ),
        _less_is_better(
            "numbers_dedupe_memory",
            found.dedupe_mib,
            256.0,
            "target, 1 million rows",
            "MiB",
            1,
        ),
    ]


def _bench_orders() -> list[Row]:
    """Orders to 1,000 ATMs; the peers are the targets of five seconds."""
    from qianshao.bench_orders import ATMS, measure, p95

    found = measure()
    what = f"target, {ATMS} simulated ATMs"
    missing = len(set(found.away) - set(found.pending))
    return [
        _less_is_better("orders.stop_receipts_p95", p95(found.stop_s), 5.0, what, "s", 1),
        _less_is_better("orders.stop_receipts_last", max(found.stop_s), 5.0, what, "s", 1),
        _less_is_better("orders.release_receipts_p95", p95(found.release_s), 5.0, what, "s", 1),
        _less_is_better("orders.back_on_line_slowest", max(found.back_s), 5.0, what, "s", 1),
        Row("orders.pending_not_listed", missing, 0, what, 0.0 if missing else 1.0, "ATMs", 1),
    ]


BENCHES: dict[str, Callable[[], list[Row]]] = {
    "envelope": _bench_envelope,
    "outbox": _bench_outbox,
    "ingest": _bench_ingest,
    "face": _bench_face,
    "spectrum": _bench_spectrum,
    "rf": _bench_rf,
    "board": _bench_board,
    "size": _bench_size,
    "stream": _bench_stream,
    "intake": _bench_intake,
    "central": _bench_central,
    "atm": _bench_atm,
    "lists": _bench_lists,
    "orders": _bench_orders,
}


def _table(rows: Sequence[Row]) -> str:
    lines = [f"{'name':30} {'ours':>10} {'peer':>10} {'unit':5} {'ratio':>7}  peer"]
    lines += [
        f"{r.name:30} {r.ours:10.1f} {r.peer:10.1f} {r.unit:5} {r.ratio:7.2f}  {r.peer_name}"
        for r in rows
    ]
    return "\n".join(lines)


def main_bench(args: argparse.Namespace) -> int:
    """Run the chosen comparisons and print them."""
    wanted = BENCHES if args.what == "all" else {args.what: BENCHES[args.what]}
    rows: list[Row] = []
    failed: list[str] = []
    for name, bench in wanted.items():
        print(f"bench: {name} …", file=sys.stderr)
        try:
            rows += _bench_central(args.store) if name == "central" else bench()
        except TimeoutError as error:  # the others have something to say all the same
            failed.append(f"bench: {name} did not come to its end: {error}")
    print(json.dumps([asdict(r) for r in rows], indent=1) if args.json else _table(rows))
    for words in failed:
        print(words, file=sys.stderr)
    return 1 if failed else 0
