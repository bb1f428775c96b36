"""``qianshao order``: an officer's key pair, and signing on the officer's own machine.

What is signed is read out of the bytes themselves, not out of what a page says of them, and shown
first: only then is it signed. No broker, no central and no network are needed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.keys import KeySigner

EXIT_FAILED = 1
_CHINA = dt.timezone(dt.timedelta(hours=8))


def add_order_commands(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``keygen``, ``show`` and ``sign`` below ``order``."""
    sentence = "make an officer's key pair; the public one goes to the administrator"
    keygen = kinds.add_parser("keygen", help=sentence, description=sentence)
    keygen.add_argument("--out", type=Path, required=True, metavar="KEY.pem")
    keygen.add_argument("--p256", action="store_true", help="P-256 instead of Ed25519")
    keygen.add_argument("--no-passphrase", action="store_true", help="leave the key unencrypted")
    keygen.set_defaults(run=main_keygen)
    sentence = "show what a file of orders says, read out of the bytes that are to be signed"
    show = kinds.add_parser("show", help=sentence, description=sentence)
    show.add_argument("file", type=Path)
    show.set_defaults(run=main_show)
    sentence = "show what a file of orders says, ask, and sign it with an officer's key"
    sign = kinds.add_parser("sign", help=sentence, description=sentence)
    sign.add_argument("file", type=Path, help="saved from the order's page")
    sign.add_argument("--key", type=Path, required=True, metavar="KEY.pem")
    sign.add_argument("--out", type=Path, required=True, metavar="FILE", help="to be sent back")
    sign.add_argument("--yes", action="store_true", help="do not ask")
    sign.set_defaults(run=main_sign)


def main_keygen(args: argparse.Namespace) -> int:
    """Write a private key that only its owner reads, and print the public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    from contract.files import create_durably
    from contract.keys import public_pem

    private = (
        ec.generate_private_key(ec.SECP256R1())
        if args.p256
        else ed25519.Ed25519PrivateKey.generate()
    )
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if not args.no_passphrase:
        passphrase = getpass.getpass("Passphrase: ")
        if len(passphrase) < 8 or getpass.getpass("The same again: ") != passphrase:
            print("qianshao order: at least 8 characters, twice the same", file=sys.stderr)
            return EXIT_FAILED
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    try:
        create_durably(args.out, pem)
    except OSError as error:
        print(f"qianshao order: {args.out}: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED
    print(public_pem(private.public_key()), end="")
    return 0


def main_show(args: argparse.Namespace) -> int:
    """Print what the orders of a file say."""
    try:
        tenant, contents = _read(args.file)
    except (OSError, ValueError) as error:
        print(f"qianshao order: {error}", file=sys.stderr)
        return EXIT_FAILED
    _print(tenant, contents)
    return 0


def main_sign(args: argparse.Namespace) -> int:
    """Sign all orders of a file, after they were shown."""
    from central.orders.signing import signatures_file
    from contract.cosign import sign_content
    from contract.files import replace_durably
    from contract.keyfiles import KeyFileError

    try:
        tenant, contents = _read(args.file)
        _print(tenant, contents)
        if not args.yes and input("Sign this? Type yes: ").strip().lower() != "yes":
            print("qianshao order: nothing was signed", file=sys.stderr)
            return EXIT_FAILED
        signer = _signer(args.key)
        made = {n: sign_content(c, tenant=tenant, signer=signer) for n, c in contents.items()}
        replace_durably(args.out, signatures_file(made))
    except (OSError, ValueError, KeyFileError) as error:
        print(f"qianshao order: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(f"{len(made)} signed; send {args.out} on the order's page")
    return 0


def _read(path: Path) -> tuple[str, dict[bytes, bytes]]:
    from central.orders.signing import MAX_BYTES, read_signing_file

    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    try:
        return read_signing_file(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _signer(path: Path) -> KeySigner:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    from contract.keyfiles import KeyFileError, check_private, read_file
    from contract.keys import KeySigner

    check_private(path)
    pem = read_file(path)
    passphrase = None
    if b"ENCRYPTED" in pem:
        passphrase = getpass.getpass("Passphrase: ").encode()
    try:
        key = serialization.load_pem_private_key(pem, password=passphrase)
    except (ValueError, TypeError) as error:
        raise KeyFileError(path, f"does not open: {error}") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return KeySigner(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return KeySigner(key)
    raise KeyFileError(path, "is neither Ed25519 nor P-256")


def _print(tenant: str, contents: dict[bytes, bytes]) -> None:
    for name, content in contents.items():
        print(f"order {name.hex()} of {tenant}")
        for label, value in read_content(name, content):
            print(f"    {label:14} {value}")


def read_content(name: bytes, content: bytes) -> list[tuple[str, str]]:
    """Return what the bytes themselves say; raises ValueError if they are not of this order."""
    from central.orders.content import read_own_content
    from contract.cosign import read_content as read_wire
    from contract.orders import AccountHold, AccountRelease, CrossAtmLink, CrossAtmLinkEnd
    from contract.visit_links import fingerprint

    own = read_own_content(content)
    if own is not None:
        if own["order_id"] != name.hex():
            raise ValueError("the bytes are of another order")
        return [(label, str(value)) for label, value in own.items() if value not in ("", [])]
    order, body = read_wire(content)
    if order.order_id != name:
        raise ValueError("the bytes are of another order")
    rows = [
        ("type", order.type.value),
        ("issuer", order.issuer),
        ("counter", str(order.counter)),
        ("issued at", _time(order.issued_at)),
        ("delivered to", ", ".join(order.targets) or "all machines"),
    ]
    if isinstance(body, AccountHold):
        amount = "the whole account"
        if body.amount_fen is not None:
            amount = f"{body.amount_fen // 100}.{body.amount_fen % 100:02} yuan"
        rows += [
            ("account", f"**** {body.account.last4} ({body.account.hmac.hex()[:16]}...)"),
            ("until", _time(body.until)),
            ("holds", amount),
            ("application", body.application_id),
            ("case", body.case),
            ("tier", str(body.tier)),
        ]
    elif isinstance(body, AccountRelease):
        rows += [
            ("account", f"**** {body.account.last4} ({body.account.hmac.hex()[:16]}...)"),
            ("releases", ", ".join(released.hex() for released in body.releases)),
            ("case", body.case),
        ]
    elif isinstance(body, CrossAtmLink):
        rows += [("case", body.case), ("until", _time(body.until))]
        rows += [("account", f"**** {account.last4}") for account in body.accounts]
        rows += [
            ("compares at", f"{one.device}, key {fingerprint(one.key)}")
            for one in body.machines or ()
        ]
    elif isinstance(body, CrossAtmLinkEnd):
        rows.append(("ends", ", ".join(ended.hex() for ended in body.ends)))
    else:
        raise ValueError(f"officers sign no {order.type.value}")
    return rows


def _time(at: int) -> str:
    moment = dt.datetime.fromtimestamp(int(at) / 1e6, _CHINA)
    return f"{moment:%Y-%m-%d %H:%M:%S} +08:00"
