"""``qianshao ca`` and ``qianshao device``: who may speak, from the first key to the last word.

``ca init``, ``device invite``, ``revoke`` and ``list`` run beside the central and take its
configuration; ``device enrol``, ``rotate`` and ``link-key`` run on the device and take the agent's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.clock import SystemClock
from contract.enrolment import EnrolmentError, Token
from contract.keyfiles import KeyFileError
from contract.settings import ConfigError
from contract.words import DeviceKind

if TYPE_CHECKING:
    from central.enrolment import EnrolmentDesk

EXIT_FAILED = 1
EXIT_CONFIG = 2

Commands = argparse._SubParsersAction


def add_ca_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add ``ca init``."""
    sentence = "make the authority and the central's key in the central's folder, once"
    init = _command(commands, "init", sentence, "the central's TOML file")
    init.set_defaults(run=_guarded(_init))
    sentence = "write the list of revoked certificates, for a broker of your own"
    crl = _command(commands, "crl", sentence, "the central's TOML file")
    crl.set_defaults(run=_guarded(_crl))


def add_device_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add ``device invite``, ``enrol``, ``rotate``, ``link-key``, ``revoke`` and ``list``."""
    central, agent = "the central's TOML file", "the agent's TOML file"
    invite = _command(commands, "invite", "make a one-time token for a device", central)
    invite.add_argument("device", help="its id: 1 to 40 of a-z, 0-9, '-'")
    invite.add_argument("--kind", required=True, choices=[kind.value for kind in DeviceKind])
    invite.add_argument("--name", default="", help="as people call it")
    invite.add_argument("--hours", type=_hours, default=24.0, help="life of the token (24)")
    invite.set_defaults(run=_guarded(_invite))
    enrol = _command(commands, "enrol", "make this device's keys and enrol them", agent)
    enrol.add_argument(
        "--token-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="file with the token, - for standard input (an argument would show in ps)",
    )
    enrol.set_defaults(run=_guarded(_enrol))
    rotate = _command(commands, "rotate", "a fresh TLS key and certificate, now", agent)
    rotate.set_defaults(run=_guarded(_rotate))
    sentence = "the fingerprint of the key that visits are sealed to, for the machine's papers"
    link_key = _command(commands, "link-key", sentence, agent)
    link_key.set_defaults(run=_guarded(_link_key))
    place = _command(commands, "area", "say in which division a device stands", central)
    place.add_argument("device")
    place.add_argument("area", help="six-digit division code; empty: the central's own")
    place.set_defaults(run=_guarded(_place))
    revoke = _command(commands, "revoke", "put a device out: session, keys, certificates", central)
    revoke.add_argument("device")
    revoke.set_defaults(run=_guarded(_revoke))
    show = _command(commands, "list", "all devices with their certificates", central)
    show.set_defaults(run=_guarded(_list))
    access = _command(commands, "access", "print the access list for a broker of your own", central)
    access.add_argument("--broker", required=True, choices=["nats", "mosquitto"])
    access.set_defaults(run=_guarded(_access))


def _command(
    commands: Commands[argparse.ArgumentParser], name: str, sentence: str, config: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=sentence, description=sentence)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help=config)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= 24 * 30:
        raise argparse.ArgumentTypeError("more than 0 and at most 720 hours")
    return hours


def _guarded(run: Any) -> Any:
    """Turn what an operator can mend into one sentence and an exit status."""

    def guarded(args: argparse.Namespace) -> int:
        try:
            return int(run(args))
        except ConfigError as error:
            print(f"qianshao: {error}", file=sys.stderr)
            return EXIT_CONFIG
        except (EnrolmentError, KeyFileError, OSError, ValueError) as error:
            print(f"qianshao: {error}", file=sys.stderr)
            return EXIT_FAILED

    return guarded


def _say(args: argparse.Namespace, values: dict[str, Any], *sentences: str) -> None:
    if args.json:
        print(json.dumps(values, ensure_ascii=False))
    else:
        print("\n".join(sentences))


# -- beside the central -------------------------------------------------------------------------


def _init(args: argparse.Namespace) -> int:
    from central.authority import Authority, AuthorityError
    from central.config import load_settings
    from central.own_key import central_signer

    settings = load_settings(args.config)
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        Authority.create(settings.folder / "ca")
    except AuthorityError as error:
        print(f"qianshao: {error}", file=sys.stderr)
        return EXIT_FAILED
    central_signer(settings)
    with _desk(args.config) as desk:
        pin = desk.pin.hex()
    _say(
        args,
        {"schema": "qianshao-ca/1", "folder": str(settings.folder / "ca"), "sha256": pin},
        f"authority made in {settings.folder / 'ca'}: keep a copy of that folder off line",
        f"SHA-256 of its certificate: {pin}",
    )
    return 0


def _crl(args: argparse.Namespace) -> int:
    with _desk(args.config) as desk:
        path = desk.publish_crl()
    _say(args, {"schema": "qianshao-crl/1", "file": str(path)}, str(path))
    return 0


def _access(args: argparse.Namespace) -> int:
    from contract.keys import CENTRAL
    from mqtt_bridge.brokers.interface import DeviceGrant
    from mqtt_bridge.brokers.mosquitto import mosquitto_access
    from mqtt_bridge.brokers.nats import nats_users

    with _desk(args.config) as desk:
        devices = [d.device for d in desk.store.devices() if d.revoked_at is None]
        grants = [DeviceGrant(desk.tenant, device) for device in devices]
    if args.broker == "mosquitto":
        print(mosquitto_access(CENTRAL, grants))
    else:
        print(json.dumps({"users": nats_users(CENTRAL, grants)}, indent=2)[1:-1])
    return 0


@contextmanager
def _desk(config: Path) -> Iterator[EnrolmentDesk]:
    """Open the desk of the central whose configuration this is; it may be running."""
    from central.authority import Authority, AuthorityError
    from central.config import load_settings
    from central.enrolment import EnrolmentDesk
    from central.own_key import central_signer
    from central.store.interface import StoreUnavailableError
    from central.store.opening import open_store
    from contract.keys import public_pem

    settings = load_settings(config)
    try:
        authority = Authority.load(settings.folder / "ca")
        store = open_store(settings.store_path, settings.store_url)
    except (AuthorityError, StoreUnavailableError) as error:
        raise EnrolmentError(f"{error}; was 'qianshao ca init' run?") from error
    try:
        yield EnrolmentDesk(
            store=store,
            authority=authority,
            tenant=settings.tenant,
            central_key_pem=public_pem(central_signer(settings).public),
            clock=SystemClock(),
        )
    except StoreUnavailableError as error:
        raise EnrolmentError(f"the store cannot be used now: {error.problem}") from error
    finally:
        store.close()


def _invite(args: argparse.Namespace) -> int:
    life = dt.timedelta(hours=args.hours)
    with _desk(args.config) as desk:
        token = desk.invite(args.device, DeviceKind(args.kind), args.name or args.device, life)
    _say(
        args, {"schema": "qianshao-token/1", "device": args.device, "token": token.text}, token.text
    )
    print(
        f"for {args.device}, once, within {args.hours:g} h. It is not kept here: carry it to the "
        "device as a secret",
        file=sys.stderr,
    )
    return 0


def _place(args: argparse.Namespace) -> int:
    from central.alert_states import RuleError
    from central.alert_work import UnknownError
    from central.audit import TERMINAL
    from central.config import load_settings
    from central.fleet_desk import place_device

    own = load_settings(args.config).area
    with _desk(args.config) as desk:
        try:
            moved = place_device(
                desk.store, SystemClock(), TERMINAL, args.device, args.area, own_area=own
            )
        except (RuleError, UnknownError) as error:
            print(f"qianshao: {error}", file=sys.stderr)
            return EXIT_FAILED
    _say(
        args,
        {
            "schema": "qianshao-placed/1", "device": args.device, "area": args.area,
            "alerts_moved": moved,
        },
        f"{args.device} stands in {args.area or own}; {moved} open alerts moved with it",
    )  # fmt: skip
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with _desk(args.config) as desk:
        is_known = desk.revoke(args.device)
    if not is_known:
        print(f"qianshao: there is no device {args.device!r}", file=sys.stderr)
        return EXIT_FAILED
    _say(
        args,
        {"schema": "qianshao-revoked/1", "device": args.device},
        f"{args.device} is revoked: a running central ends its session within seconds and takes "
        "nothing more from it. What it signed before stays evidence.",
    )
    return 0


def _list(args: argparse.Namespace) -> int:
    with _desk(args.config) as desk:
        now = int(desk.clock.wall())
        rows = [
            {
                "device": device.device,
                "kind": device.kind.value,
                "name": device.name,
                "state": "revoked" if device.revoked_at is not None else "enrolled",
                "certificate_until": _until(desk, device.device),
            }
            for device in desk.store.devices()
        ]
        rows += [
            {
                "device": invitation.device,
                "kind": invitation.kind.value,
                "name": invitation.name,
                "state": "invited" if invitation.expires_at > now else "invitation expired",
                "certificate_until": None,
            }
            for invitation in desk.store.invitations()
            if invitation.used_at is None
        ]
    if args.json:
        print(json.dumps({"schema": "qianshao-devices/1", "devices": rows}, ensure_ascii=False))
        return 0
    for row in rows:
        until = f"certificate until {row['certificate_until']}" if row["certificate_until"] else ""
        print(f"{row['device']:24} {row['kind']:11} {row['state']:19} {until:38} {row['name']}")
    return 0


def _until(desk: EnrolmentDesk, device: str) -> str | None:
    valid = [c for c in desk.store.certificates(device) if c.revoked_at is None]
    if not valid:
        return None
    return f"{dt.datetime.fromtimestamp(valid[0].not_after / 1e6, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


# -- on the device ------------------------------------------------------------------------------


def _enrol(args: argparse.Namespace) -> int:
    from edge_agent.config import load_config
    from edge_agent.enrolment import enrol

    config = load_config(args.config)
    is_stdin = str(args.token_file) == "-"
    token = Token.parse(sys.stdin.readline() if is_stdin else args.token_file.read_text("utf-8"))
    identity = enrol(config, token)
    kid = identity.signer.kid.hex()
    _say(
        args,
        {"schema": "qianshao-enrolled/1", "device": config.device, "evidence_key_sha256": kid},
        f"{config.device} is enrolled; its keys were born in {config.state_dir}",
        f"SHA-256 of its evidence key: {kid}",
    )
    return 0


def _link_key(args: argparse.Namespace) -> int:
    from contract.tenant_keys import box_key
    from contract.visit_links import fingerprint
    from edge_agent.atm.key_ring import BOX_FILE
    from edge_agent.config import load_config

    config = load_config(args.config)
    path = config.state_dir / BOX_FILE
    if not path.exists():  # one that is made now would not be the one that was enrolled
        raise ValueError(f"{path}: no key yet; device enrol makes it")
    shown = fingerprint(box_key(path).public_key().public_bytes_raw())
    _say(
        args,
        {"schema": "qianshao-link-key/1", "device": config.device, "fingerprint": shown},
        f"{config.device}: {shown}",
        "Write it on the machine's commissioning sheet: officers compare it before they sign an "
        "order that lets this machine compare visits.",
    )
    return 0


def _rotate(args: argparse.Namespace) -> int:
    from edge_agent.config import load_config
    from edge_agent.enrolment import rotate
    from edge_agent.identity import Identity

    config = load_config(args.config)
    identity = Identity.load_or_create(config.state_dir, config.device, config.evidence_token)
    certificate = rotate(config, identity)
    until = f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    _say(
        args,
        {"schema": "qianshao-rotated/1", "device": config.device, "certificate_until": until},
        f"{config.device} has a new TLS key and a certificate until {until}; the former one stays "
        "valid until its own end. A running agent shows the new one at its next connection.",
    )
    return 0
