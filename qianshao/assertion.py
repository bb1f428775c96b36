"""``qianshao assertion``: check a face assertion off line; a service to integrate against."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from contract.assertion import AssertionRefusedError, Expected, FaceAssertion, open_assertion
from contract.clock import SystemClock
from contract.codec import rfc3339
from contract.files import create_durably
from contract.keys import KnownKey, key_id, load_public_pem
from contract.spent import SpentAssertions

if TYPE_CHECKING:
    from edge_agent.atm.assertions import AssertionDesk

EXIT_REFUSED = 1
EXIT_USAGE = 2


def add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``assertion verify``."""
    parser.add_argument("assertion", help="the text, or - to read it from standard input")
    parser.add_argument("--tenant", required=True, help="the bank's tenant name")
    parser.add_argument("--device", required=True, help="the ATM it must come from")
    parser.add_argument("--key", type=Path, required=True, help="that ATM's public key, PEM")
    parser.add_argument("--terminal", required=True, help="DE41 of the request")
    parser.add_argument("--stan", required=True, help="DE11 of the request")
    parser.add_argument("--amount-fen", type=int, required=True, help="DE4 of the request")
    parser.add_argument("--currency", default="CNY")
    parser.add_argument("--card", required=True, help="HMAC of the card number, hex")
    parser.add_argument("--nonce", required=True, help="nonce of the request, hex")
    parser.add_argument(
        "--transfer-to",
        metavar="HEX",
        help="the request is a transfer: HMAC of the payee's account",
    )
    parser.add_argument("--spent", type=Path, required=True, help="file of what was used before")
    parser.add_argument(
        "--accept-simulated", action="store_true", help="take one made by a simulated camera"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main_verify(args: argparse.Namespace) -> int:
    """Check one assertion and spend it: 0 taken, 1 refused, 2 usage."""
    try:
        public = load_public_pem(args.key.read_text(encoding="ascii"))
        expected = Expected(
            device=args.device,
            terminal=args.terminal,
            stan=args.stan,
            amount_fen=args.amount_fen,
            currency=args.currency,
            card=bytes.fromhex(args.card),
            nonce=bytes.fromhex(args.nonce),
            transfer_to=bytes.fromhex(args.transfer_to) if args.transfer_to else None,
        )
        spent = SpentAssertions(args.spent)
    except (OSError, ValueError, sqlite3.Error) as error:
        print(f"qianshao assertion verify: {error}", file=sys.stderr)
        return EXIT_USAGE
    known = {key_id(public): KnownKey(args.device, public)}
    text = sys.stdin.read().strip() if args.assertion == "-" else args.assertion
    try:
        assertion = open_assertion(
            text,
            expected,
            tenant=args.tenant,
            find_key=known.get,
            now=SystemClock().wall(),
            spend=spent.spend,
            accepts_simulated=args.accept_simulated,
        )
    except AssertionRefusedError as error:
        _print({"valid": False, "refusal": error.refusal.value, "detail": error.detail}, args.json)
        return EXIT_REFUSED
    finally:
        spent.close()
    _print({"valid": True, **_facts(assertion)}, args.json)
    return 0


def _facts(assertion: FaceAssertion) -> dict[str, object]:
    return {
        "device": assertion.device,
        "terminal": assertion.terminal,
        "stan": assertion.stan,
        "amount_fen": assertion.amount_fen,
        "pad": assertion.pad.value,
        "policy_version": assertion.policy_version,
        "expires_at": rfc3339(assertion.expires_at),
        "is_simulated": assertion.is_simulated,
    }


def _print(result: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": "qianshao/assertion-verify/1", **result}))
    else:
        print("\n".join(f"{key}: {value}" for key, value in result.items()))


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``assertion serve``."""
    parser.add_argument("--folder", type=Path, required=True, help="keys and socket live here")
    parser.add_argument("--device", default="atm-stand-in")
    parser.add_argument("--tenant", default="bank")
    parser.add_argument("--terminal", default="ATM00001")
    parser.add_argument(
        "--stranger", action="append", default=[], metavar="PAN", help="this card is another's"
    )


def main_serve(args: argparse.Namespace) -> int:
    """Serve assertions of a simulated camera until ended; for integration, never for cash."""
    from qianshao.assertion_stand_in import stand_in_desk

    folder: Path = args.folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        desk, public = stand_in_desk(
            folder=folder,
            device=args.device,
            tenant=args.tenant,
            terminal=args.terminal,
            tenant_key=_tenant_key(folder / "tenant.key"),
            strangers=frozenset(args.stranger),
        )
        (folder / "device.pem").write_text(public, encoding="ascii")
        asyncio.run(_serve(desk, folder / "assertion.sock"))
    except (OSError, ValueError) as error:
        print(f"qianshao assertion serve: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def _tenant_key(path: Path) -> bytes:
    """Read the bank's key for card numbers, in hex, or make one."""
    if not path.exists():
        create_durably(path, secrets.token_hex(32).encode())
    return bytes.fromhex(path.read_text(encoding="ascii"))


async def _serve(desk: AssertionDesk, socket: Path) -> None:
    from edge_agent.atm.assertion_service import AssertionService

    server = await AssertionService(desk).on_socket(socket)
    print(f"listening on {socket}; simulated camera: for integration only", flush=True)
    async with server:
        await server.serve_forever()
