"""``qianshao central backup`` and ``restore``: a copy of a central, and back again."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from contract.clock import SystemClock
from contract.settings import ConfigError

EXIT_FAILED = 1
EXIT_CONFIG = 2


def add_copies(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both below ``central``."""
    for name, sentence in (
        ("backup", "copy the store, the keys and the authority, while the central runs"),
        ("restore", "put a copy in the place of a central's folder, which must be empty"),
    ):
        command = commands.add_parser(name, help=sentence, description=sentence)
        command.add_argument("folder", type=Path, metavar="DIR", help="folder of the copy")
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the central's TOML file"
        )
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.set_defaults(run=main_copy, is_restore=name == "restore")


def main_copy(args: argparse.Namespace) -> int:
    """Copy or put back; 1 if it cannot be done, 2 for a configuration that cannot be used."""
    from central.backup import back_up, restore
    from central.config import load_settings
    from contract.copies import CopyError

    verb = "restore" if args.is_restore else "backup"
    try:
        settings = load_settings(args.config)
        if args.is_restore:
            copied = restore(settings, args.folder)
        else:
            copied = back_up(settings, args.folder, SystemClock())
    except ConfigError as error:
        print(f"qianshao central {verb}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except CopyError as error:
        print(f"qianshao central {verb}: {error}", file=sys.stderr)
        return EXIT_FAILED
    if args.json:
        values = {
            "schema": f"qianshao-central-{verb}/1",
            "folder": str(args.folder),
            "made_at": copied.made_at,
            "files": copied.files,
            "size_bytes": copied.size_bytes,
            "messages": copied.messages,
        }
        print(json.dumps(values))
        return 0
    what = f"{copied.files} files, {copied.size_bytes} bytes, {copied.messages} messages"
    if args.is_restore:
        print(f"{settings.folder}: as it was at {copied.made_at} ({what})")
        print("Who was revoked since then is not any more: revoke again, then start the central.")
    else:
        print(f"{args.folder}: {what}. It holds the central's keys: keep it as you keep those.")
    return 0
