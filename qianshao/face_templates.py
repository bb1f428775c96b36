"""``qianshao face templates``: what a template store holds, and the withdrawal of a consent."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qianshao.face_enrol import add_key_arguments, card_hmac, device_key

if TYPE_CHECKING:
    from atm_face.templates import Inventory

SCHEMA = "qianshao.face_templates/1"

_CHINA = timezone(timedelta(hours=8))


def add_templates_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face templates``."""
    parser.add_argument("--store", type=Path, required=True, metavar="FILE", help="template store")
    add_key_arguments(parser)
    parser.add_argument(
        "--withdraw", metavar="CARD", help="erase this card's template: its consent is withdrawn"
    )
    parser.add_argument(
        "--on", type=date.fromisoformat, metavar="DATE", help="day of the withdrawal, or today"
    )
    parser.add_argument("--models", type=Path, help="folder of the weights")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main_templates(args: argparse.Namespace) -> int:
    """Run ``face templates``; 2 for a bad argument, 3 if something needs enrolling again."""
    from atm_face.device_key import DeviceKeyError
    from atm_face.engines.interface import EngineError
    from atm_face.engines.sface import SFaceEngine
    from atm_face.templates import TemplateStore

    try:
        card = None if args.withdraw is None else card_hmac(args.withdraw)
        if not args.store.is_file():
            raise ValueError(f"{args.store}: no such store")
        store = TemplateStore(args.store, device_key(args))
    except (ValueError, DeviceKeyError, EngineError) as error:
        print(f"qianshao face templates: {error}", file=sys.stderr)
        return 2
    try:
        if card is not None:
            store.withdraw(card, args.on or datetime.now(UTC).astimezone(_CHINA).date())
        inventory = store.inventory(SFaceEngine(args.models))
    except EngineError as error:
        print(f"qianshao face templates: {error}", file=sys.stderr)
        return 1
    finally:
        store.close()
    if args.json:
        print(json.dumps(_as_json(inventory)))
    else:
        print("\n".join(_lines(inventory)))
    return 3 if inventory.re_enrol or inventory.unopened else 0


def _as_json(inventory: Inventory) -> dict[str, Any]:
    filing = inventory.filing
    return {
        "schema": SCHEMA,
        "stored": filing.stored,
        "usable": inventory.usable,
        "re_enrol": [card.hex() for card in inventory.re_enrol],
        "unopened": [card.hex() for card in inventory.unopened],
        "withdrawn": inventory.withdrawn,
        "filing": {"limit": filing.limit, "is_due": filing.is_due},
    }


def _lines(inventory: Inventory) -> list[str]:
    filing = inventory.filing
    lines = [
        f"{filing.stored} faces stored: {inventory.usable} usable,"
        f" {len(inventory.re_enrol)} of other weights (enrol again),"
        f" {len(inventory.unopened)} that this key does not open",
        f"{inventory.withdrawn} consents withdrawn, their templates erased",
    ]
    for title, cards in (("enrol again", inventory.re_enrol), ("not opened", inventory.unopened)):
        lines += [f"  {title}: {card.hex()}" for card in cards]
    share = f"{filing.stored} of {filing.limit}"
    lines.append(
        f"{share} faces: file with the provincial cyberspace administration within"
        f" {filing.working_days} working days"
        if filing.is_due
        else f"{share} faces from which the storage must be filed"
    )
    return lines
