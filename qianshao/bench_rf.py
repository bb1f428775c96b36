"""``qianshao bench rf``: the cell detector's speed, on AT logs and against tshark on captures."""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from contract.messages import Detection
from hardware.captures.plmn import plmn_to_bcd
from hardware.readings import CellReading, Rat, Unreadable
from hardware.recordings import read_recording
from hardware.simulators.city import City, Drive
from rf_watch import CellWatch

TARGET_READINGS_S = 2_000.0
AT_READINGS = 20_000
RUNS = 3
_COPIES = 5


def at_rate() -> float:
    """Readings a second of AT parsing and detection on one core, over a simulated drive's log."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.txt"
        path.write_text("\n".join(_transcript(AT_READINGS)) + "\n", encoding="ascii")
        rates = []
        for _ in range(RUNS):
            started = time.perf_counter()
            readings, _ = _replay(path)
            rates.append(readings / (time.perf_counter() - started))
    return statistics.median(rates)


def _transcript(count: int) -> Iterator[str]:
    """+QENG lines of the GSM cells that a drive hears, a serving one first in each round."""
    taken = 0
    for reading in Drive(City(0), 1).readings(24):
        if not isinstance(reading, CellReading) or reading.stamp.sensor != "gsm-at":
            continue
        mcc, _, mnc = reading.plmns[0].partition("-")
        area, cell = f"{reading.lac_tac:X}", f"{reading.cell_id:X}"
        head = f"{mcc},{mnc},{area},{cell},{reading.physical_id},{reading.channel}"
        level = round(min(reading.level_dbm or -1.0, -1.0))
        c1, c2 = reading.c1, reading.c2
        if reading.is_serving:
            yield "OK"
            yield (
                f'+QENG: "servingcell","NOCONN","GSM",{head},-,{level},255,255,0,{c1},{c2},1'
                + ",-" * 9
                + ',"-"'
            )
        else:
            yield f'+QENG: "neighbourcell","GSM",{head},{level},{c1},{c2},0,0'
        taken += 1
        if taken >= count:
            return


def _replay(path: Path) -> tuple[int, list[Detection]]:
    watch = CellWatch("bench")
    readings = 0
    found: list[Detection] = []
    for item in read_recording(path):
        if not isinstance(item, Unreadable):
            readings += 1
            found += watch.feed(item)
    return readings, found + watch.close()


def capture_seconds() -> tuple[float, float, str] | None:
    """Seconds of ours and of tshark on one capture, and its name; None without tshark."""
    tshark = shutil.which("tshark")
    if tshark is None:
        print("bench: tshark is not installed (Debian package tshark)", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.pcap"
        name = _write_capture(path)
        ours: list[float] = []
        peer: list[float] = []
        for _ in range(RUNS):
            started = time.perf_counter()
            _replay(path)
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            subprocess.run(
                [tshark, "-n", "-r", str(path)],
                stdout=subprocess.DEVNULL,
                check=True,
                stderr=subprocess.DEVNULL,
            )
            peer.append(time.perf_counter() - started)
    return statistics.median(ours), statistics.median(peer), name


def _write_capture(path: Path) -> str:
    """Repeat the recorded ordinary log where it is at hand, else invented system information."""
    folder = Path(os.environ.get("QIANSHAO_FIELD_DATA", "../shared/data"))
    recorded = folder / "cellular" / "benign" / "attach_sample.gsmtap.pcap"
    if recorded.is_file():
        whole = recorded.read_bytes()
        path.write_bytes(whole + whole[24:] * (_COPIES - 1))
        return f"recorded LTE log x{_COPIES}"
    path.write_bytes(b"".join(_invented(3_583 * _COPIES)))
    return "invented GSM system information"


def _invented(count: int) -> Iterator[bytes]:
    yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    cells = [cell for cell in City(0).cells if cell.network.rat is Rat.GSM]
    for number in range(count):
        cell = cells[number % len(cells)]
        area = plmn_to_bcd(cell.network.plmn) + cell.area.to_bytes(2)
        frame = b"\x49\x06\x1b" + cell.cell_id.to_bytes(2) + area + b"\x40\x00\x13\x00\x65\x08"
        frame = (frame + b"\x79\x00\x00" + b"\xb7\x00").ljust(23, b"\x2b")
        head = struct.pack(">BBBBHbbIBBBB", 2, 4, 1, 0, cell.channel, -70, 0, number, 1, 0, 0, 0)
        udp = struct.pack(">HHHH", 4729, 4729, 8 + len(head + frame), 0) + head + frame
        address = b"\x7f\x00\x00\x01"
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + address * 2
        packet = ip + udp
        at = 1_762_300_800 + number // 10
        yield struct.pack("<IIII", at, number % 10 * 100_000, len(packet), len(packet)) + packet
