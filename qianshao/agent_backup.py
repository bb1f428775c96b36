"""``qianshao agent backup`` and ``restore``: a copy of a device's state, and back again."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from contract.clock import SystemClock
from contract.copies import CopyError
from contract.settings import ConfigError

EXIT_FAILED = 1
EXIT_CONFIG = 2


def add_commands(agent: argparse.ArgumentParser) -> None:
    """Add both below ``agent``; without one of them the agent runs."""
    words = agent.add_subparsers(metavar="[backup|restore]", dest="word")
    for name, sentence in (
        ("backup", "copy what cannot be made anew, while the agent runs"),
        ("restore", "put a copy back; the device goes on above the numbers that it has used"),
    ):
        command = words.add_parser(name, help=sentence, description=sentence)
        command.add_argument("folder", type=Path, metavar="DIR", help="folder of the copy")
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file"
        )
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        if name == "backup":
            command.add_argument(
                "--with-keys",
                action="store_true",
                help="the private keys too, and the journal of withdrawals",
            )
        else:
            command.add_argument(
                "--sent-up-to",
                type=int,
                required=True,
                metavar="SEQ",
                help="highest sequence number that the central shows for this device",
            )
        command.set_defaults(run=_restore if name == "restore" else _backup)


def _backup(args: argparse.Namespace) -> int:
    return _copy(args, "backup")


def _restore(args: argparse.Namespace) -> int:
    return _copy(args, "restore")


def _copy(args: argparse.Namespace, verb: str) -> int:
    """Copy or put back; 1 if it cannot be done, 2 for a configuration that cannot be used."""
    from edge_agent.backup import back_up, restore
    from edge_agent.config import load_config

    try:
        config = load_config(args.config)
        if verb == "restore":
            copied = restore(config, args.folder, sent_up_to=args.sent_up_to)
        else:
            copied = back_up(config, args.folder, SystemClock(), with_keys=args.with_keys)
    except ConfigError as error:
        print(f"qianshao agent {verb}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except CopyError as error:
        print(f"qianshao agent {verb}: {error}", file=sys.stderr)
        return EXIT_FAILED
    values = {
        "schema": f"qianshao-agent-{verb}/1",
        "folder": str(args.folder),
        "device": config.device,
        "made_at": copied.made_at,
        "files": copied.files,
        "size_bytes": copied.size_bytes,
        "waiting": copied.waiting,
        "last_seq": copied.last_seq,
        "has_keys": copied.has_keys,
    }
    if verb == "restore":
        values |= {"kept": list(copied.kept), "goes_on_above": copied.floor}
    if args.json:
        print(json.dumps(values))
        return 0
    what = f"{copied.files} files, {copied.size_bytes} bytes, {copied.waiting} messages that wait"
    if verb == "backup":
        keys = "It holds private keys: keep it as such." if copied.has_keys else "It holds no key."
        print(f"{args.folder}: {what}. {keys}")
        return 0
    print(f"{config.state_dir}: as it was at {copied.made_at} ({what})")
    print(f"The device goes on above sequence number {copied.floor}.")
    if copied.kept:
        print(f"Left alone, because they stood there: {', '.join(copied.kept)}")
    if not copied.has_keys:
        print("The copy has no keys: where the folder has none either, enrol the device anew.")
    if config.atm is not None:
        print("The machine is closed: 'qianshao atm open' when its withdrawals are settled.")
    return 0
