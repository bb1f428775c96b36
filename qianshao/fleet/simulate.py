"""``qianshao fleet simulate``: many stations on one machine, and what became of their messages."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mqtt_bridge.brokers.interface import BrokerError
from qianshao.fleet.plan import Plan
from qianshao.fleet.run import FleetRun
from qianshao.fleet.site import TENANT, FleetSite, prepare
from qianshao.fleet.traffic import Arrivals
from qianshao.fleet.verdict import judge
from qianshao.logs import configure_logs

EXIT_FAILED = 1
MAX_RESTARTS = 5
_TICK_S = 0.2
_TELL_S = 5.0


def plans_of(site: FleetSite, processes: int, **traffic: Any) -> list[Plan]:
    """Deal the stations out to processes."""
    count = min(processes, len(site.stations))
    return [
        Plan(
            tenant=TENANT,
            folder=str(site.folder),
            stations=site.stations[number::count],
            broker_host="127.0.0.1",
            broker_port=site.broker.port,
            ca=str(site.ca),
            central_key=str(site.central_key),
            **traffic,
        )
        for number in range(count)
    ]


def main_simulate(args: argparse.Namespace) -> int:
    """Run a fleet; exit 0 if all was delivered, nothing lost, doubled or broken."""
    configure_logs()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="qianshao-fleet-"))
    if args.folder is not None and args.folder.exists() and any(args.folder.iterdir()):
        print(f"qianshao fleet: {args.folder} is not empty", file=sys.stderr)
        return EXIT_FAILED
    try:
        result = _simulate(folder.resolve(), args)
    except BrokerError as error:
        print(f"qianshao fleet: {error}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        if args.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result) if args.json else _told(result))
    return 0 if result["is_clean"] and result["is_drained"] else EXIT_FAILED


def _simulate(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    stations = [f"station-{number:04d}" for number in range(1, args.stations + 1)]
    _tell(f"{args.stations} stations are enrolled; the broker is {args.broker}")
    site = prepare(folder, stations, args.broker)
    plans = plans_of(
        site,
        args.processes,
        backlog=args.backlog,
        messages=args.messages,
        rate_per_s=args.rate,
        arrivals=Arrivals(args.arrivals),
        outages=tuple(args.outage),
        waits_for_go=True,
        seed=args.seed,
    )
    run = FleetRun(site, plans)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        return _drive(run, args, stopping)
    finally:
        run.stop()


def _drive(run: FleetRun, args: argparse.Namespace, stopping: threading.Event) -> dict[str, Any]:
    until = time.monotonic() + args.patience
    run.central.start()
    for member in run.members:
        member.start()
    for _ in _rounds(run, until, stopping):
        if run.is_ready:
            break
    began = time.monotonic()
    run.go()
    _tell("all lines come up now")
    for _ in _rounds(run, until, stopping):
        if run.is_drained:
            break
    seconds = time.monotonic() - began
    totals, is_drained = run.totals, run.is_drained
    for member in run.members:
        member.stop()
    verdict = judge(run.site, list(run.plans))
    return {
        "schema": "qianshao.fleet/1",
        "stations": args.stations,
        "broker": args.broker,
        "backlog": args.backlog,
        "seconds": round(seconds, 1),
        "stored_per_s": round(verdict.stored / seconds, 1),
        "published": totals.published,
        "resent": totals.resent,
        "is_drained": is_drained,
        "is_clean": verdict.is_clean,
        **asdict(verdict),
    }


def _rounds(run: FleetRun, until: float, stopping: threading.Event) -> Iterator[None]:
    """Rounds of looking after the processes, until the time is over."""
    next_word = time.monotonic() + _TELL_S
    while time.monotonic() < until and not stopping.wait(_TICK_S):
        for part in (*run.members, run.central):
            if run.restart_if_dead(part):
                _tell(f"{part.name} died and was started again; its log says why")
                if part.restarts > MAX_RESTARTS:
                    return
        run.site.broker.ensure()
        if time.monotonic() >= next_word:
            next_word += _TELL_S
            totals = run.totals
            _tell(f"{totals.waiting} messages wait for a receipt, {totals.published} published")
        yield


def _tell(words: str) -> None:
    print(f"fleet: {words}", file=sys.stderr, flush=True)


def _told(result: dict[str, Any]) -> str:
    end = "all delivered" if result["is_drained"] else "NOT all delivered"
    return (
        f"{result['stations']} stations over {result['broker']}: {end} in {result['seconds']} s "
        f"({result['stored_per_s']} messages/s stored), {result['resent']} sent again.\n"
        f"{result['durable']} durable at the stations, {result['stored']} stored: "
        f"{result['lost']} lost, {result['twice']} stored twice, {result['foreign']} foreign, "
        f"{result['chain_breaks']} chain breaks.\n"
        f"Live messages from the station's outbox to the central's store: "
        f"p50 {result['live_p50_s']} s, p95 {result['live_p95_s']} s, "
        f"longest {result['live_max_s']} s."
    )
