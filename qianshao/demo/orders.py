"""Orders in the demo: a simulated bank that knows the customer, and two officers with keys."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.actor import Role
from central.audit import TERMINAL
from central.config import CentralSettings
from central.orders.bank import SCHEMA
from central.orders.officers import OfficersDesk
from central.own_key import central_signer
from central.people.desk import WHOLE_COUNTRY, PeopleDesk
from central.store.sql import SqlStore
from contract import SystemClock
from contract.files import replace_durably
from contract.keys import public_pem
from qianshao.demo.people import PAN

OFFICERS = ("chen", "zhou")
HOLDER, OWNER = "张三", "530102199001010011"
AMOUNT_FEN = 4_600_000
_CHINA = dt.timezone(dt.timedelta(hours=8))
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Trial:
    """What a visitor needs to try an order."""

    officers: tuple[str, ...]
    keys: Path
    """Folder of the officers' key files."""
    transfer: str
    """Time of the transfer that the bank knows, as the form takes it."""


def prepare_orders(
    folder: Path, card_key: Path, settings: CentralSettings, store: SqlStore, password: str
) -> Trial:
    """Make the bank's accounts, the officers and their keys, or take those of an earlier run."""
    if not card_key.exists():
        card_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_durably(card_key, secrets.token_bytes(_KEY_BYTES))
    transfer = _accounts(folder / "bank.json")
    keys = folder / "officers"
    keys.mkdir(exist_ok=True, mode=0o700)
    people = PeopleDesk(store, SystemClock(), settings.folder)
    desk = OfficersDesk(store, SystemClock(), central_signer(settings), settings.tenant)
    for name in OFFICERS:
        is_new = store.person(name) is None
        if is_new:
            people.create(name, [Role.REVIEWER], [WHOLE_COUNTRY], shown=name.capitalize())
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            replace_durably(keys / f"{name}.pem", pem)
            desk.add(TERMINAL, name, public_pem(key.public_key()))
        people.set_password(name, password, by=TERMINAL)
    return Trial(OFFICERS, keys, transfer)


def _accounts(path: Path) -> str:
    """Write the bank's accounts; returns when the stolen money came, in China."""
    if path.exists():
        table = json.loads(path.read_text(encoding="utf-8"))
        at = dt.datetime.fromisoformat(table["accounts"][0]["incoming"][0]["at"])
    else:
        at = (dt.datetime.now(_CHINA) - dt.timedelta(hours=1)).replace(microsecond=0)
        account = {
            "number": PAN,
            "name": HOLDER,
            "owner": OWNER,
            "balance_fen": 5_000_000,
            "incoming": [{"amount_fen": AMOUNT_FEN, "at": at.isoformat()}],
        }
        table = {"schema": SCHEMA, "accounts": [account]}
        replace_durably(path, json.dumps(table, ensure_ascii=False).encode())
    return f"{at:%Y-%m-%d %H:%M:%S}"


def told(trial: Trial) -> list[str]:
    """Say how an order is tried."""
    first, second = trial.officers
    return [
        f"orders  {first} and {second} (same password) sign with {trial.keys}/NAME.pem, or with "
        "a passkey under the name localhost; "
        f"try a stop on {PAN}, {HOLDER}, {AMOUNT_FEN // 100} yuan at {trial.transfer}",
    ]
