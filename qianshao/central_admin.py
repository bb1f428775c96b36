"""``qianshao central admin`` and ``central audit``: people from the terminal, and the audit log.

The first administrator is made here, by whoever may read the central's folder: there is no default
password and no page that makes one.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contract.clock import SystemClock
from contract.keyfiles import KeyFileError
from contract.settings import ConfigError
from qianshao.central_backup import add_copies

if TYPE_CHECKING:
    from central.audit import AuditLog
    from central.config import CentralSettings
    from central.orders.officers import Bundle, OfficersDesk
    from central.people.desk import PeopleDesk
    from central.store.sql import SqlStore

EXIT_FAILED = 1
EXIT_CONFIG = 2

Commands = argparse._SubParsersAction


def add_commands(central: argparse.ArgumentParser) -> None:
    """Add what stands below ``central``; without one of them the central runs."""
    # What stands before the sub-command is kept: a sub-parser's own default would overwrite it.
    words = central.add_subparsers(
        metavar="[admin|audit|keys|officers|backup|restore]", dest="word"
    )
    add_copies(words)
    sentence = "whose key signs orders"
    officers = words.add_parser("officers", help=sentence, description=sentence)
    _add_officers(officers.add_subparsers(required=True, metavar="WHAT"))
    sentence = "people of the central, from its own terminal"
    admin = words.add_parser("admin", help=sentence, description=sentence)
    _add_admin(admin.add_subparsers(required=True, metavar="WHAT"))
    sentence = "the keys under which accounts are known"
    keys = words.add_parser("keys", help=sentence, description=sentence)
    _add_keys(keys.add_subparsers(required=True, metavar="WHAT"))
    sentence = "the log of who did what"
    audit = words.add_parser("audit", help=sentence, description=sentence)
    verbs = audit.add_subparsers(required=True, metavar="WHAT")
    verify = _command(verbs, "verify", "walk the whole chain: was a row removed or changed?")
    verify.add_argument("--expect", metavar="DIGEST", help="a digest that must be in the chain")
    verify.set_defaults(run=_guarded(_verify))


def _add_officers(kinds: Commands[argparse.ArgumentParser]) -> None:
    show = _command(kinds, "list", "officers of the bundle in force")
    show.set_defaults(run=_guarded(_officers_list))
    add = _command(kinds, "add", "let a person's key sign; a new bundle goes to every device")
    add.add_argument("name", help="a reviewer or commander")
    add.add_argument("public_key", type=Path, metavar="PUBLIC.pem")
    add.add_argument("--days", type=int, default=365, help="how long it signs (365)")
    add.set_defaults(run=_guarded(_officers_add))
    remove = _command(kinds, "remove", "let a key sign nothing more")
    remove.add_argument("key", help="key id, in hexadecimal, or the first of it (16 at least)")
    remove.set_defaults(run=_guarded(_officers_remove))


def _add_admin(kinds: Commands[argparse.ArgumentParser]) -> None:
    create = _command(kinds, "create", "make a person; the first one is an administrator")
    create.add_argument("name", help="to sign in with: 2 to 40 of a-z, 0-9 and . _ -")
    create.add_argument("--shown", default="", help="as the pages name the person")
    create.add_argument("--role", action="append", help="may be repeated (administrator)")
    create.add_argument("--area", action="append", help="division code, may be repeated (000000)")
    create.add_argument("--unit", default="", help="the member unit for which a liaison acts")
    create.add_argument("--password-stdin", action="store_true", help="read it, do not ask")
    create.set_defaults(run=_guarded(_create))
    bind = _command(kinds, "unit", "let a liaison act for one member unit; their sessions end")
    bind.add_argument("name")
    bind.add_argument("unit", help="short name of the unit, or - for none")
    bind.set_defaults(run=_guarded(_bind))
    password = _command(kinds, "password", "set a new password; the person's sessions end")
    password.add_argument("name")
    password.add_argument("--password-stdin", action="store_true", help="read it, do not ask")
    password.set_defaults(run=_guarded(_password))
    link = _command(kinds, "link", "print a link that signs a person in once, for 15 minutes")
    link.add_argument("name")
    link.set_defaults(run=_guarded(_link))
    factor = _command(kinds, "reset-second-factor", "forget a lost authenticator")
    factor.add_argument("name")
    factor.set_defaults(run=_guarded(_reset))
    key = _command(kinds, "key", "print a key with which a program acts for a person")
    key.add_argument("name")
    key.add_argument("--label", default="program")
    key.add_argument("--days", type=int, default=90, choices=range(1, 398), metavar="1..397")
    key.set_defaults(run=_guarded(_key))
    show = _command(kinds, "list", "all people with their roles and areas")
    show.set_defaults(run=_guarded(_list))


def _add_keys(verbs: Commands[argparse.ArgumentParser]) -> None:
    sentences = {
        "show": "which keys count, and which machines have them",
        "begin": "make the next key and hand it to every machine",
        "switch": "take it in use, once every machine has receipted it",
        "retire": "forget a former key, once nothing live stands under it",
    }
    for verb, sentence in sentences.items():
        command = _command(verbs, verb, sentence)
        if verb == "retire":
            command.add_argument("number", type=int, help="of the former key")
        command.set_defaults(run=_guarded(_keys), verb=verb)


def _command(
    kinds: Commands[argparse.ArgumentParser], name: str, sentence: str
) -> argparse.ArgumentParser:
    parser = kinds.add_parser(name, help=sentence, description=sentence)
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the central's TOML file"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


@dataclass(frozen=True, slots=True)
class _Office:
    """What the commands work on."""

    settings: CentralSettings
    store: SqlStore
    people: PeopleDesk
    audit: AuditLog


@contextmanager
def _office(config: Path) -> Iterator[_Office]:
    from central.audit import AuditLog
    from central.config import load_settings
    from central.own_key import central_signer
    from central.people.desk import PeopleDesk
    from central.store.opening import open_store

    settings, clock = load_settings(config), SystemClock()
    store = open_store(settings.store_path, settings.store_url)
    try:
        people = PeopleDesk(store, clock, settings.folder)
        yield _Office(settings, store, people, AuditLog(store, clock, central_signer(settings)))
    finally:
        store.close()


def _guarded(
    run: Callable[[argparse.Namespace, _Office], int],
) -> Callable[[argparse.Namespace], int]:
    """Turn what an operator can mend into a sentence and an exit status."""

    def guarded(args: argparse.Namespace) -> int:
        from central.store import MigrationError, StoreUnavailableError

        try:
            with _office(args.config) as office:
                return run(args, office)
        except (ConfigError, KeyFileError) as error:
            print(f"qianshao central: {error}", file=sys.stderr)
            return EXIT_CONFIG
        except (ValueError, StoreUnavailableError, MigrationError) as error:
            print(f"qianshao central: {error}", file=sys.stderr)
            return EXIT_FAILED

    return guarded


def _read_password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password (at least 12 characters): ")
    if getpass.getpass("The same again: ") != password:
        raise ValueError("the two passwords differ")
    return password


def _say(args: argparse.Namespace, sentence: str, **values: object) -> None:
    print(json.dumps(values, ensure_ascii=False) if args.json else sentence)


def _create(args: argparse.Namespace, office: _Office) -> int:
    from central.actor import Role
    from central.people.desk import WHOLE_COUNTRY

    roles = [Role(word) for word in args.role or [Role.ADMINISTRATOR]]
    areas = args.area or [WHOLE_COUNTRY]
    password = _read_password(args)
    person = office.people.create(
        args.name, roles, areas, shown=args.shown, password=password, unit=args.unit
    )
    words = ", ".join(sorted(person.roles))
    _say(
        args,
        f"{person.name} may sign in as {words}; the second factor is set up at the first sign-in",
        name=person.name,
        roles=sorted(person.roles),
        areas=sorted(person.areas),
        unit=person.unit,
    )
    return 0


def _bind(args: argparse.Namespace, office: _Office) -> int:
    unit = "" if args.unit == "-" else args.unit
    office.people.bind(args.name, unit)
    sentence = f"{args.name} acts for {unit}" if unit else f"{args.name} acts for no member unit"
    _say(args, sentence, name=args.name, unit=unit or None)
    return 0


def _password(args: argparse.Namespace, office: _Office) -> int:
    from central.audit import TERMINAL

    office.people.set_password(args.name, _read_password(args), by=TERMINAL)
    _say(args, f"{args.name} has a new password", name=args.name)
    return 0


def _link(args: argparse.Namespace, office: _Office) -> int:
    token = office.people.make_link(args.name)
    http = office.settings
    scheme, host = "http", http.http_host
    if http.http_tls is not None:
        scheme, host = "https", http.names[0]
    url = f"{scheme}://{host}:{http.http_port}/sign-in/link/{token}"
    _say(args, url, name=args.name, url=url)
    return 0


def _reset(args: argparse.Namespace, office: _Office) -> int:
    from central.audit import TERMINAL

    office.people.reset_second_factor(args.name, by=TERMINAL)
    _say(args, f"{args.name} sets up a new authenticator at the next sign-in", name=args.name)
    return 0


def _key(args: argparse.Namespace, office: _Office) -> int:
    key = office.people.make_key(args.name, args.label, args.days)
    _say(args, key, name=args.name, key=key)
    return 0


def _list(args: argparse.Namespace, office: _Office) -> int:
    people = office.store.people()
    if args.json:
        rows = [
            {
                "name": p.name,
                "shown": p.shown,
                "roles": sorted(p.roles),
                "areas": sorted(p.areas),
                "unit": p.unit,
                "has_password": p.password is not None,
                "has_second_factor": p.second_factor is not None,
                "is_disabled": p.disabled_at is not None,
            }
            for p in people
        ]
        print(json.dumps({"schema": "qianshao-people/1", "people": rows}, ensure_ascii=False))
        return 0
    for p in people:
        state = "disabled" if p.disabled_at is not None else "active"
        areas, unit = ", ".join(sorted(p.areas)), f" of {p.unit}" if p.unit else ""
        print(f"{p.name:20} {state:9} {', '.join(sorted(p.roles))}{unit} [{areas}]")
    return 0


def _officers(office: _Office) -> OfficersDesk:
    from central.orders.officers import OfficersDesk
    from central.own_key import central_signer

    signer = central_signer(office.settings)
    settings = office.settings
    return OfficersDesk(
        office.store, SystemClock(), signer, settings.tenant, place=settings.orders.passkeys
    )


def _officers_list(args: argparse.Namespace, office: _Office) -> int:
    return _say_bundle(args, _officers(office).newest())


def _officers_add(args: argparse.Namespace, office: _Office) -> int:
    from central.audit import TERMINAL

    try:
        pem = args.public_key.read_text(encoding="ascii")
    except OSError as error:
        raise ValueError(f"{args.public_key}: {error.strerror}") from None
    return _say_bundle(args, _officers(office).add(TERMINAL, args.name, pem, args.days))


def _officers_remove(args: argparse.Namespace, office: _Office) -> int:
    from central.audit import TERMINAL
    from central.orders.officers import kid_of

    desk, wanted = _officers(office), args.key.lower()
    newest = desk.newest()
    entries = () if newest is None else newest.officers
    found = [kid_of(e) for e in entries if kid_of(e).hex().startswith(wanted)]
    if len(wanted) < 16 or len(found) != 1:
        raise ValueError("no such key is in the bundle (at least 16 digits of its id)")
    return _say_bundle(args, desk.remove(TERMINAL, found[0]))


def _say_bundle(args: argparse.Namespace, bundle: Bundle | None) -> int:
    from central.orders.officers import kid_of
    from contract.codec import rfc3339

    rows = [
        {
            "officer": entry.officer,
            "key": kid_of(entry).hex(),
            "valid_from": rfc3339(entry.valid_from),
            "valid_until": rfc3339(entry.valid_until),
            "kind": "key_file" if entry.credential_id is None else "passkey",
        }
        for entry in (() if bundle is None else bundle.officers)
    ]
    version = 0 if bundle is None else bundle.version
    if args.json:
        print(json.dumps({"schema": "qianshao-officers/1", "version": version, "officers": rows}))
        return 0
    print(f"version {version}")
    for row in rows:
        print(f"{row['officer']:20} {row['key'][:16]} {row['kind']:8} until {row['valid_until']}")
    return 0


def _verify(args: argparse.Namespace, office: _Office) -> int:
    verdict = office.audit.verify(args.expect)
    if args.json:
        answer = {
            "schema": "qianshao-audit/1",
            "rows": verdict.rows,
            "seals": verdict.seals,
            "head": verdict.head,
            "is_intact": verdict.is_intact,
            "findings": [{"seq": f.seq, "problem": f.problem} for f in verdict.findings],
        }
        print(json.dumps(answer, ensure_ascii=False))
    else:
        for finding in verdict.findings:
            print(f"row {finding.seq}: {finding.problem}")
        state = "intact" if verdict.is_intact else "NOT INTACT"
        print(f"{verdict.rows} rows, {verdict.seals} seals, {state}; head {verdict.head or '-'}")
    return 0 if verdict.is_intact else EXIT_FAILED


def _keys(args: argparse.Namespace, office: _Office) -> int:
    from qianshao.central_keys import take_step

    shown = take_step(office.settings, office.store, args.verb, getattr(args, "number", 0))
    _say(args, "\n".join(f"{name}: {value}" for name, value in shown.items()), **shown)
    return 0
