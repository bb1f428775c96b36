"""``qianshao devices``: what is plugged in, and what would be done with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from hardware.devices import Known, keep_away, known
from hardware.serial.ports import ROOT, AttachedPort, attached_ports, other_readers

SCHEMA = "qianshao.devices/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``devices``."""
    parser.add_argument("--json", action="store_true", help="one JSON object for each port")
    parser.add_argument(
        "--all", action="store_true", help="also ports that are not on USB (most have no device)"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=ROOT,
        metavar="FOLDER",
        help="where the machine's sys and dev lie, in a container that is given the host's",
    )


def main_devices(args: argparse.Namespace) -> int:
    """Run the command. It lists; it opens nothing and writes nothing."""
    if not args.root.is_dir():
        sys.stderr.write(f"devices: --root {args.root}: no such folder\n")
        return 2
    show(attached_ports(args.root.absolute()), sys.stdout, is_json=args.json, is_all=args.all)
    return 0


def show(ports: Sequence[AttachedPort], out: TextIO, *, is_json: bool, is_all: bool) -> None:
    """Write what is known of each port."""
    shown = [port for port in ports if is_all or port.usb is not None]
    for port in shown:
        what, readers = known(port), other_readers(port.path)
        out.write(_json(port, what, readers) if is_json else _text(port, what, readers))
    if not is_json:
        hidden = len(ports) - len(shown)
        rest = f", {hidden} not on USB (--all shows them)" if hidden else ""
        count = "1 serial port" if len(shown) == 1 else f"{len(shown) or 'no'} serial ports"
        out.write(f"{count}{rest}; nothing was opened\n")


def _json(port: AttachedPort, what: Known, readers: Sequence[str]) -> str:
    return (
        json.dumps(
            {
                "schema": SCHEMA,
                "path": port.path,
                "usb": port.usb,
                "serial": port.serial,
                "interface": port.interface,
                "driver": port.driver,
                "product": port.product,
                "url": port.stable_url,
                "what": what.what,
                "trust": what.trust.value,
                "kind": what.kind,
                "advice": what.advice,
                "other_readers": list(readers),
            },
            ensure_ascii=False,
        )
        + "\n"
    )


def _text(port: AttachedPort, what: Known, readers: Sequence[str]) -> str:
    lines = [f"{port.path}  {what.what}", f"    url     {port.stable_url}"]
    if port.usb is not None:
        interface = "" if port.interface is None else f", interface {port.interface}"
        driver = "" if port.driver is None else f", driver {port.driver}"
        lines.append(
            f"    usb     {port.usb}, serial number {port.serial or 'none'}{interface}{driver}"
        )
    lines.append(f"    trust   {what.trust.value.replace('_', ' ')}")
    if what.advice:
        lines.append(f"    would   {what.advice}")
    if readers:
        lines.append(f"    busy    {', '.join(readers)}")
    if hint := keep_away(readers):
        lines.append(f"    hint    {hint}")
    return "\n".join(lines) + "\n"
