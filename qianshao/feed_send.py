"""``qianshao feed send``: a member unit's CSV goes to the centre, and its receipts come back.

The sender is an enrolled device like any other: what it says is signed, waits in its outbox until
the central has it, and counts once. A file larger than a message goes in parts; the lines that are
refused are named as they stand in the file.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import queue
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.clock import Clock, SystemClock, machine_boot_id
from contract.envelope import NO_PREVIOUS, EnvelopeError, open_envelope, seal
from contract.keyfiles import KeyFileError
from contract.keys import CENTRAL, FindKey
from contract.messages import FeedReceipt, FeedReport, State
from contract.settings import ConfigError
from contract.topics import Channel, Lane
from contract.words import FeedKind, Presence

if TYPE_CHECKING:
    from edge_agent.config import AgentConfig
    from edge_agent.identity import Identity
    from edge_agent.outbox import Outbox

PART_BYTES = 40_000
"""Rows of one message, well below the limit of a message."""
MAX_FILE_BYTES = 256 * 1024 * 1024
WAIT_S = 60.0
EXIT_FAILED, EXIT_CONFIG, EXIT_PARTLY = 1, 2, 3

Commands = argparse._SubParsersAction


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that fit one message, with the header; how many lines of the file were left out."""

    rows: str
    lines_before: int


def parts_of(text: str, limit_bytes: int = PART_BYTES) -> Iterator[Part]:
    """Cut a CSV between its records. A record longer than the limit goes alone."""
    lines = text.splitlines(keepends=True)
    ends = _record_ends(lines)
    if not ends:
        return
    header, start = "".join(lines[: ends[0]]), ends[0]
    size = len(header.encode())
    first, last, used = start, start, size
    for end in ends[1:]:
        more = len("".join(lines[last:end]).encode())
        if last > first and used + more > limit_bytes:
            yield Part(header + "".join(lines[first:last]), first - start)
            first, used = last, size
        last, used = end, used + more
    yield Part(header + "".join(lines[first:last]), first - start)


def _record_ends(lines: Sequence[str]) -> list[int]:
    """Return after how many lines each record of a CSV ends, blank ones before the header too."""
    ends: list[int] = []
    rows = csv.reader(lines)
    has_header = False
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return ends
        except csv.Error:
            row = ["?"]  # the central names this line; the others go on
        has_header = has_header or any(cell.strip() for cell in row)
        if has_header:
            ends.append(rows.line_num)


class Answers:
    """What the central says of the reports, verified; other messages are not for this command."""

    def __init__(self, tenant: str, device: str, find_key: FindKey) -> None:
        self._tenant, self._device, self._find_key = tenant, device, find_key
        self.came: queue.SimpleQueue[FeedReceipt] = queue.SimpleQueue()

    def take(self, channel: Channel, payload: bytes) -> None:
        """Take a receipt; a message that is none, or not the central's, is dropped."""
        if channel is not Channel.FEEDS:
            return
        try:
            envelope = open_envelope(payload, tenant=self._tenant, find_key=self._find_key)
        except EnvelopeError:
            return
        body = envelope.body
        is_for_us = isinstance(body, FeedReceipt) and body.device == self._device
        if is_for_us and envelope.payload.device == CENTRAL:
            assert isinstance(body, FeedReceipt)
            self.came.put(body)


def add_feed_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add ``send``."""
    sentence = "send a unit's CSV through the broker and print what became of its rows"
    send = commands.add_parser("send", help=sentence, description=sentence)
    send.add_argument("file", type=Path, metavar="FILE", help="the CSV, UTF-8")
    send.add_argument("--config", type=Path, required=True, help="TOML file of the sending device")
    send.add_argument("--unit", required=True, help="the member unit's short name")
    send.add_argument("--kind", required=True, choices=[k.value for k in FeedKind], help="what")
    send.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="S", help=f"for receipts ({WAIT_S:.0f})"
    )
    send.add_argument("--json", action="store_true", help="print the receipts as JSON")
    send.set_defaults(run=_send)


def _send(args: argparse.Namespace) -> int:
    from edge_agent.config import load_config
    from edge_agent.identity import Identity, find_central
    from edge_agent.outbox import Outbox, OutboxError
    from qianshao.logs import configure_logs

    configure_logs(least="error")
    try:
        config = load_config(args.config)
        reports = _reports(args)
        identity = Identity.load_or_create(config.state_dir, config.device, config.evidence_token)
        find = find_central(config.central.public_key)
        with Outbox.open(
            config.state_dir / "outbox.sqlite3",
            tenant=config.tenant,
            device=config.device,
            signer=identity.signer,
            clock=SystemClock(),
            boot_id=machine_boot_id(),
            central_keys=find,
            quota=config.outbox,
        ) as outbox:
            return _exchange(args, config, identity, outbox, reports, find)
    except (ConfigError, KeyFileError, ValueError) as error:
        print(f"qianshao feed: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except (OutboxError, OSError) as error:
        print(f"qianshao feed: {error}", file=sys.stderr)
        return EXIT_FAILED


def _reports(args: argparse.Namespace) -> list[FeedReport]:
    """Read the file; raises ValueError, OSError."""
    if args.file.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{args.file}: more than {MAX_FILE_BYTES} bytes")
    try:
        text = args.file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{args.file}: no UTF-8 at byte {error.start}") from error
    now = SystemClock().wall()
    found = [
        FeedReport(
            unit=args.unit, kind=FeedKind(args.kind), name=args.file.name[:200], rows=part.rows,
            lines_before=part.lines_before, at=now,
        )
        for part in parts_of(text)
    ]  # fmt: skip
    if not found:
        raise ValueError(f"{args.file}: holds no line")
    return found


def _exchange(
    args: argparse.Namespace,
    config: AgentConfig,
    identity: Identity,
    outbox: Outbox,
    reports: Sequence[FeedReport],
    find: FindKey,
) -> int:
    from mqtt_bridge.downlink import Downlink
    from mqtt_bridge.ports import BrokerAddress
    from mqtt_bridge.uplink import Uplink

    tls, broker = None, config.broker
    if broker.tls is not None:
        tls = identity.tls_files(ca=broker.tls.ca, certificate=broker.tls.certificate)
    answers = Answers(config.tenant, config.device, find)
    uplink = Uplink(
        BrokerAddress(host=broker.host, port=broker.port, tls=tls),
        tenant=config.tenant,
        device=config.device,
        outbox=outbox,
        make_state=_states(config, identity, SystemClock()),
        settings=config.uplink,
        downlink=Downlink(config.tenant, config.device, answers),
    )
    puts = [outbox.put(report, Lane.EVIDENCE) for report in reports]
    waiting = {put.result().seq for put in puts}  # durable from here on
    uplink.start()
    receipts: list[FeedReceipt] = []
    until = time.monotonic() + args.wait
    try:
        while waiting and (left_s := until - time.monotonic()) > 0:
            try:
                receipt = answers.came.get(timeout=left_s)
            except queue.Empty:
                break
            if receipt.seq in waiting:
                waiting.discard(receipt.seq)
                receipts.append(receipt)
        while outbox.depth and time.monotonic() < until:
            time.sleep(0.05)  # the receipt of the message itself, so that nothing is sent again
    finally:
        problem = uplink.problem
        uplink.stop()
    receipts.sort(key=lambda one: one.seq)
    _print(args, receipts, waiting, "" if problem is None else str(problem))
    if waiting:
        return EXIT_FAILED
    return EXIT_PARTLY if any(one.refusals for one in receipts) else 0


def _states(config: AgentConfig, identity: Identity, clock: Clock) -> Any:
    """Return the maker of the birth and last will of this command's sessions."""
    session = [os.urandom(8)]

    def make(presence: Presence) -> bytes:
        if presence is Presence.OFFLINE:
            session[0] = os.urandom(8)
        state = State(
            presence=presence, session=session[0], kind=config.kind, version=version("qianshao")
        )
        return seal(
            state, tenant=config.tenant, device=config.device, boot_id=machine_boot_id(), seq=0,
            wall=clock.wall(), mono=clock.mono(), quality=clock.quality(), prev=NO_PREVIOUS,
            signer=identity.signer,
        )  # fmt: skip

    return make


def _print(
    args: argparse.Namespace, receipts: Sequence[FeedReceipt], waiting: set[int], problem: str
) -> None:
    refused = [(row.line, row.reason) for one in receipts for row in one.refusals]
    taken = sum(one.taken for one in receipts)
    if args.json:
        values = {
            "schema": "qianshao-feed-sent/1",
            "unit": args.unit,
            "kind": args.kind,
            "messages": len(receipts) + len(waiting),
            "unanswered": sorted(waiting),
            "feeds": [one.feed for one in receipts if one.feed is not None],
            "taken": taken,
            "refused": sum(one.refused for one in receipts),
            "refusals": [{"line": line, "reason": reason} for line, reason in refused],
        }
        print(json.dumps(values, ensure_ascii=False))
    elif receipts:
        print(f"taken {taken}, refused {sum(one.refused for one in receipts)}")
    for line, reason in refused:
        where = f"{args.file}:{line}" if line else str(args.file)
        print(f"{where}: {reason}", file=sys.stderr)
    if waiting:
        why = f" ({problem})" if problem else ""
        print(
            f"qianshao feed: no receipt yet for {len(waiting)} messages{why}; they are kept in the "
            "outbox and go with the next run",
            file=sys.stderr,
        )
