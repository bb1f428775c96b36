"""What goes to an officer to be signed, and what comes back: small JSON files, and parsers of them.

The private key stays with the officer: in their authenticator, in their browser's memory for one
press, or on their own machine, where ``qianshao order sign`` shows what the bytes say first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from central.orders.kinds import Reason
from central.orders.settings import PasskeyPlace
from contract.cosign import Signature, officer_header, signing_input
from contract.keys import algorithm_of, key_id, load_public_pem
from contract.orders import Officer
from contract.webauthn import MAX_TOGETHER, Assertion, challenge_of, digest_of, pack

TO_SIGN_SCHEMA = "qianshao-to-sign/1"
SIGNATURES_SCHEMA = "qianshao-signatures/1"
ASSERTION_SCHEMA = "qianshao-assertion/1"
MAX_BYTES = 200_000
MAX_ORDERS = MAX_TOGETHER
_ID_HEX, _VALUE_HEX, _DIGEST_HEX = 32, 128, 64


class SigningError(ValueError):
    """A file of signatures that cannot be read."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = reason, detail


def signing_jobs(
    contents: Mapping[bytes, bytes], keys: Sequence[Officer], tenant: str
) -> list[dict[str, Any]]:
    """Return, for each key file of an officer, the exact bytes that it would sign of each order."""
    jobs = []
    for entry in keys:
        if entry.credential_id is not None:
            continue
        algorithm = algorithm_of(load_public_pem(entry.public_pem))
        header = officer_header(entry)
        orders = [
            {
                "order_id": name.hex(),
                "bytes": signing_input(content, tenant=tenant, signer_header=header).hex(),
            }
            for name, content in contents.items()
        ]
        jobs.append(
            {
                "algorithm": algorithm.name,
                "public_pem": entry.public_pem,
                "protected": header.hex(),
                "orders": orders,
            }
        )
    return jobs


def passkey_jobs(
    contents: Mapping[bytes, bytes],
    keys: Sequence[Officer],
    tenant: str,
    place: PasskeyPlace | None,
) -> list[dict[str, Any]]:
    """Return, for each passkey of an officer, what one press of it would sign: all the orders.

    More than a signature may carry are left for another press.
    """
    jobs = []
    for entry in keys:
        if entry.credential_id is None or place is None or not contents:
            continue
        header = officer_header(entry)
        digests = {
            name: digest_of(signing_input(content, tenant=tenant, signer_header=header))
            for name, content in list(contents.items())[:MAX_ORDERS]
        }
        jobs.append(
            {
                "key": key_id(load_public_pem(entry.public_pem)).hex(),
                "credential_id": entry.credential_id.hex(),
                "rp_id": place.rp_id,
                "origins": place.origins,
                "protected": header.hex(),
                "challenge": challenge_of(digests.values()).hex(),
                "orders": [
                    {"order_id": name.hex(), "digest": digest.hex()}
                    for name, digest in digests.items()
                ],
            }
        )
    return jobs


def signing_file(contents: Mapping[bytes, bytes], tenant: str) -> bytes:
    """Return the file that is signed elsewhere."""
    orders = [
        {"order_id": name.hex(), "content": content.hex()} for name, content in contents.items()
    ]
    table = {"schema": TO_SIGN_SCHEMA, "tenant": tenant, "orders": orders}
    return json.dumps(table, indent=1).encode()


def read_signing_file(raw: bytes) -> tuple[str, dict[bytes, bytes]]:
    """Return the tenant and the contents by order; raises SigningError."""
    table = _table(raw, TO_SIGN_SCHEMA)
    tenant, orders = table.get("tenant"), _orders(table, "orders")
    if not isinstance(tenant, str):
        raise SigningError(Reason.MALFORMED, "it names no tenant")
    return tenant, {_bytes(o, "order_id", _ID_HEX): _bytes(o, "content") for o in orders}


def signatures_file(signatures: Mapping[bytes, Signature]) -> bytes:
    """Return signatures as a file."""
    rows = [
        {"order_id": name.hex(), "protected": part.protected.hex(), "value": part.value.hex()}
        for name, part in signatures.items()
    ]
    return json.dumps({"schema": SIGNATURES_SCHEMA, "signatures": rows}, indent=1).encode()


def read_signatures(raw: bytes) -> dict[bytes, Signature]:
    """Return signatures by order; raises SigningError. None of them is verified here."""
    if not raw:
        raise SigningError(Reason.NOT_SIGNED_BY_TWO, "no signature came: neither text nor file")
    table = _table(raw, SIGNATURES_SCHEMA, ASSERTION_SCHEMA)
    if table["schema"] == ASSERTION_SCHEMA:
        return _read_assertion(table)
    rows = _orders(table, "signatures")
    return {
        _bytes(row, "order_id", _ID_HEX): Signature(
            _bytes(row, "protected"), _bytes(row, "value", _VALUE_HEX)
        )
        for row in rows
    }


def _read_assertion(table: dict[str, Any]) -> dict[bytes, Signature]:
    """Return the one assertion as the signature of each order that it signed."""
    rows = _orders(table, "orders")
    digests = {_bytes(row, "digest", _DIGEST_HEX) for row in rows}
    assertion = Assertion(
        authenticator_data=_bytes(table, "authenticator_data"),
        client_data=_bytes(table, "client_data"),
        signature=_bytes(table, "signature"),
        digests=tuple(digests),
    )
    part = Signature(_bytes(table, "protected"), pack(assertion))
    return {_bytes(row, "order_id", _ID_HEX): part for row in rows}


def _table(raw: bytes, *schemas: str) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise SigningError(Reason.MALFORMED, f"more than {MAX_BYTES} bytes")
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError):
        raise SigningError(Reason.MALFORMED, "it is no JSON") from None
    if not isinstance(table, dict) or table.get("schema") not in schemas:
        raise SigningError(Reason.MALFORMED, f"it is no {schemas[0]}")
    return table


def _orders(table: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = table.get(name)
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ORDERS:
        raise SigningError(Reason.MALFORMED, f"{name}: a list of 1 to {MAX_ORDERS}")
    if not all(isinstance(row, dict) for row in rows):
        raise SigningError(Reason.MALFORMED, f"{name}: each is an object")
    return rows


def _bytes(row: dict[str, Any], name: str, digits: int | None = None) -> bytes:
    text = row.get(name)
    try:
        if not isinstance(text, str) or (digits is not None and len(text) != digits):
            raise ValueError
        return bytes.fromhex(text)
    except ValueError:
        raise SigningError(
            Reason.MALFORMED, f"{name} is not the hexadecimal it has to be"
        ) from None
