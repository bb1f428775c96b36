"""``qianshao demo``: the whole system on one machine, told in plain words."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from atm_face.engines.sface import SFaceEngine
from hardware.simulators.nas import attack_capture
from qianshao.demo import orders, people, site
from qianshao.demo.story import Story
from qianshao.demo.summary import summarise
from qianshao.demo.witness import Witness
from qianshao.logs import configure_logs
from qianshao.parts import Crew, LogEvent, Part

EXIT_FAILED = 1
CENTRAL_WAIT_S = 15.0
SETTLE_S = 8.0
STATION_AFTER_S = 3.0
"""When the station that nobody licensed comes on the air."""
"""At the end the agents may deliver what they still hold, at most so long."""

_TICK_S = 0.2


@dataclass
class Demo:
    """One run: its folder, its processes and its witnesses."""

    folder: Path
    http_port: int
    story: Story
    seconds: float | None
    stopping: threading.Event = field(default_factory=threading.Event)
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recordings = site.field_data()
        self.site = site.prepare(self.folder, self.http_port)
        self.crew = Crew(self._on_death)
        self._began = time.monotonic()
        self._central_is_up = threading.Event()
        self.witness = Witness(self.site.http_port, self.site.visitor.key, self.story.alert)

    def _on_death(self, part: Part, status: int) -> None:
        self.story.tell(
            f"{part.name:7} died (status {status}) and is started again: process {part.pid}"
        )

    def _hear(self, part: str, event: LogEvent) -> None:
        if event["event"] == "central_started":
            self._central_is_up.set()
        self.story.hear(part, event)

    def _start(self, name: str, *arguments: str) -> None:
        (self.folder / "logs").mkdir(exist_ok=True)
        log = self.folder / "logs" / f"{name}.log"
        command = [sys.executable, "-m", *arguments]
        part = self.crew.add(Part(name, command, log, self._hear))
        self.story.tell(f"{name:7} process {part.pid}")

    def start(self) -> None:
        """Start all parts, the page first."""
        self._start("central", "qianshao", "central", "--config", str(self.site.central_config))
        # Agents need no central to run; waiting for it only shows the first alert sooner, because
        # nobody then sits out a back-off.
        self._central_is_up.wait(CENTRAL_WAIT_S)
        self.witness.start()
        self.story.tell(f"PAGE    {self.site.entry}")
        visitor = self.site.visitor
        self.story.tell(
            f"        the link works once; later sign in at {self.site.url} "
            f"as {visitor.name}, password {visitor.password}"
        )
        if self.site.trial is not None:
            for line in orders.told(self.site.trial):
                self.story.tell(line)
        self._start_van()
        self._start_atm()
        self._began = time.monotonic()

    def _start_van(self) -> None:
        invented = self.folder / "invented-attack.pcap"
        invented.write_bytes(attack_capture())
        for line in site.write_van(self.site, self.recordings, invented):
            self.story.tell(f"van     {line}")
        modem = ["hardware.simulators.modem", "--link", str(self.site.modem_link)]
        modem += ["--scene", self._scene()]
        self._start("modem", *modem)
        tinysa = ["hardware.simulators.instruments", "tinysa", "--new-after", str(STATION_AFTER_S)]
        self._start("tinysa", *tinysa, "--link", str(self.site.spectrum_link))
        gnss = ["hardware.simulators.instruments", "nmea", "--link", str(self.site.gnss_link)]
        self._start("gnss", *gnss)
        self._start("van", "qianshao", "agent", "--config", str(self.site.agent_config(site.VAN)))

    def _scene(self) -> str:
        """Cells of the simulated modem.

        Recorded ones would come in as today's, and today's spectrum plan is not that of their day:
        where recordings of attacks are played, the cells around them are invented genuine ones.
        """
        if self.recordings is not None:
            return "genuine"
        self.story.tell(
            "van     no recordings (QIANSHAO_FIELD_DATA): invented cells and an invented attack"
        )
        return "fake_cell"

    def _start_atm(self) -> None:
        faces = self.recordings / "faces" / "lfw" / "images" if self.recordings else None
        folder = self.site.agent_folder(site.ATM)
        cast, sentence = people.cast(SFaceEngine(), faces, folder)
        self.story.tell(f"atm     {sentence}")
        site.write_atm(self.site, people.visits(cast))
        machine = ["hardware.simulators.machine", "--folder", str(self.site.machine_folder)]
        machine += ["--atm-port", str(self.site.atm_port), "--host-port", str(self.site.host_port)]
        self._start("machine", *machine)
        self.story.tell(
            "atm     card reader, PIN pad (a process of its own), dispenser and bank are simulated;"
            " XFS4IoT, ISO 8583, journal and face engine are the real ones"
        )
        self.story.tell(f"SCREEN  {self.site.screen_url} (what the customer reads)")
        self._start("atm", "qianshao", "agent", "--config", str(self.site.agent_config(site.ATM)))

    def tend(self) -> None:
        """Keep everything alive until the time is over or somebody asks to stop."""
        until = None if self.seconds is None else self._began + self.seconds
        while not self.stopping.wait(_TICK_S):
            self.crew.tend()
            if until is not None and time.monotonic() >= until:
                return

    def finish(self) -> dict[str, Any]:
        """Stop the agents, let them deliver, stop the rest, and count."""
        self.story.tell("        ending: the agents deliver what they still hold …")
        self.figures["van_rss_mb"] = _rss_mb(self.crew.pid_of("van"))
        summary = summarise(self.site, self.crew, self.witness, SETTLE_S)
        self.witness.stop()
        self.crew.stop()
        return summary


def _rss_mb(pid: int | None) -> float | None:
    """Resident memory of a process, MB; None where the system does not say."""
    if pid is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def _keep_quiet() -> None:
    """Standard output holds the story or the JSON; the log of this process has no place there."""
    configure_logs()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def _run(folder: Path, args: argparse.Namespace, story: Story) -> tuple[dict[str, Any], Demo]:
    _keep_quiet()
    demo = Demo(folder, args.http_port, story, args.seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: demo.stopping.set())
    try:
        demo.start()
        if not args.headless and args.seconds is None and sys.stdout.isatty():
            webbrowser.open(demo.site.entry)
        demo.tend()
        return demo.finish(), demo
    finally:
        demo.crew.stop()


def main_demo(args: argparse.Namespace) -> int:
    """Run the demo; exit 0 if nothing was lost and nothing counted twice."""
    configure_logs(least="warning")
    story = Story(sys.stderr if args.json else sys.stdout)
    folder = args.folder or Path(tempfile.mkdtemp(prefix="qianshao-demo-"))
    try:
        summary, _ = _run(folder.resolve(), args, story)
    finally:
        if args.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(json.dumps(summary))
    else:
        _print(summary)
    return EXIT_FAILED if summary["lost"] or summary["duplicated"] else 0


def _print(summary: dict[str, Any]) -> None:
    latency = summary["alert_latency_ms"]
    print(
        f"\n{summary['detections']} detections and {summary['decisions']} decisions stored, "
        f"{summary['alerts_shown']} alerts shown on the page,\n"
        f"{summary['receipts']} messages covered by signed receipts, "
        f"{summary['lost']} lost, {summary['duplicated']} stored twice.\n"
        f"From a reading to its alert on the page: p50 {latency['p50']} ms, "
        f"p95 {latency['p95']} ms ({latency['count']} alerts timed)."
    )


def run_for_figures(seconds: float) -> dict[str, Any]:
    """Run the demo quietly and return its summary with the memory of the van's agent."""
    with tempfile.TemporaryDirectory(prefix="qianshao-bench-") as folder:
        args = argparse.Namespace(http_port=0, seconds=seconds, headless=True)
        summary, demo = _run(Path(folder).resolve(), args, Story(sys.stderr))
    return {**summary, **demo.figures}
