"""``qianshao outbox``: what a device still has to say, and what to do with what is refused."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.clock import SystemClock, machine_boot_id
from contract.codec import rfc3339
from contract.keyfiles import KeyFileError
from contract.settings import ConfigError
from contract.topics import Lane

if TYPE_CHECKING:
    from edge_agent.outbox import Outbox

EXIT_FAILED = 1
EXIT_CONFIG = 2

Commands = argparse._SubParsersAction


def add_outbox_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add ``show``, ``release`` and ``put-aside``."""
    show = _command(commands, "show", "what waits, and what was put aside and why", _show)
    show.add_argument(
        "--save", type=Path, metavar="DIR", help="write what is aside as signed files"
    )
    release = _command(commands, "release", "let what was put aside go again", _release)
    release.add_argument("seq", type=int, nargs="*", help="its number")
    release.add_argument("--all", action="store_true", help="all of them")
    aside = _command(commands, "put-aside", "send a waiting message no more; a gap says so", _aside)
    aside.add_argument("seq", type=int, help="its number")
    aside.add_argument("--why", required=True, help="kept with it and shown")


def _command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    sentence: str,
    run: Callable[[argparse.Namespace, Outbox], int],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=sentence, description=sentence)
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=lambda args: _with_outbox(args, run))
    return parser


def _with_outbox(args: argparse.Namespace, run: Callable[[argparse.Namespace, Outbox], int]) -> int:
    from edge_agent.config import load_config
    from edge_agent.identity import Identity, find_central
    from edge_agent.outbox import Outbox, OutboxError
    from qianshao.logs import configure_logs

    configure_logs(least="error")
    try:
        config = load_config(args.config)
        path = config.state_dir / "outbox.sqlite3"
        if not path.is_file():
            print(f"qianshao outbox: {path} is not there", file=sys.stderr)
            return EXIT_FAILED
        identity = Identity.load_or_create(config.state_dir, config.device, config.evidence_token)
        with Outbox.open(
            path,
            tenant=config.tenant,
            device=config.device,
            signer=identity.signer,
            clock=SystemClock(),
            boot_id=machine_boot_id(),
            central_keys=find_central(config.central.public_key),
            quota=config.outbox,
        ) as outbox:
            return run(args, outbox)
    except (ConfigError, KeyFileError) as error:
        print(f"qianshao outbox: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except (OutboxError, OSError) as error:
        print(f"qianshao outbox: {error}", file=sys.stderr)
        return EXIT_FAILED


def _show(args: argparse.Namespace, outbox: Outbox) -> int:
    from edge_agent.outbox_writer import type_in

    stats, lanes = outbox.stats(), dict.fromkeys(Lane, 0)
    lanes.update((lane, used.rows) for lane, used in outbox.waiting().items())
    rows: list[dict[str, Any]] = []
    for row in outbox.put_aside_rows():
        rows.append(
            {
                "seq": row.seq,
                "type": type_in(row.cose),
                "lane": row.lane.value,
                "size_bytes": len(row.cose),
                "put_at": rfc3339(row.put_at),
                "put_aside_at": rfc3339(row.refused_at),
                "why": row.why,
            }
        )
        if args.save is not None:
            args.save.mkdir(parents=True, exist_ok=True, mode=0o700)
            (args.save / f"{row.seq}.cose").write_bytes(row.cose)
    if args.json:
        values = {
            "schema": "qianshao-outbox/1",
            "waiting": {lane.value: count for lane, count in lanes.items()},
            "size_bytes": stats.size_bytes,
            "last_seq": stats.last_seq,
            "receipted": stats.receipted,
            "put_aside": rows,
        }
        print(json.dumps(values, ensure_ascii=False))
        return 0
    waiting = ", ".join(f"{lane.value} {count}" for lane, count in lanes.items())
    print(f"waiting: {waiting} ({stats.size_bytes} bytes)")
    print(f"last number {stats.last_seq}, the central holds all up to {stats.receipted}")
    print(f"put aside: {len(rows)}")
    for told in rows:
        print(
            f"{told['seq']:>10} {told['type']:20} {told['size_bytes']:>6} B "
            f"{told['put_aside_at']}  {told['why']}"
        )
    return 0


def _release(args: argparse.Namespace, outbox: Outbox) -> int:
    seqs = [row.seq for row in outbox.put_aside_rows()] if args.all else args.seq
    if not seqs and not args.all:
        print("qianshao outbox release: name numbers, or --all", file=sys.stderr)
        return EXIT_CONFIG
    released = [{"seq": seq, "new_seq": outbox.release(seq)} for seq in seqs]
    if args.json:
        print(json.dumps({"schema": "qianshao-outbox-release/1", "released": released}))
        return 0
    for told in released:
        print(f"{told['seq']} goes again as {told['new_seq']}")
    print(f"{len(released)} let go; a running agent sends them after its next message")
    return 0


def _aside(args: argparse.Namespace, outbox: Outbox) -> int:
    if not outbox.put_aside(args.seq, args.why):
        print(
            f"qianshao outbox put-aside: {args.seq} does not wait, is a gap, or too many are aside",
            file=sys.stderr,
        )
        return EXIT_FAILED
    if args.json:
        print(json.dumps({"schema": "qianshao-outbox-put-aside/1", "seq": args.seq}))
    else:
        print(f"{args.seq} is put aside; a signed gap says so to the central")
    return 0
