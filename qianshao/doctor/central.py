"""What can be wrong with a central, looked at without disturbing one that runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial

from central.authority import Authority, AuthorityError
from central.config import BrokerKind, CentralSettings
from central.store.opening import open_store
from contract.clock import Clock
from mqtt_bridge.brokers.interface import BrokerMissingError
from mqtt_bridge.brokers.mosquitto import find_mosquitto
from mqtt_bridge.brokers.nats import find_nats
from qianshao.doctor.findings import (
    Check,
    Finding,
    check_certificate,
    check_clock,
    check_folder,
    check_store,
    failed,
    listens,
    ok,
    warning,
)

_INIT = "qianshao ca init"
_SOON = dt.timedelta(days=5)


def central_checks(settings: CentralSettings, clock: Clock) -> list[tuple[str, Check]]:
    """Return the checks, in the order in which things are needed."""
    folder = settings.folder
    checks: list[tuple[str, Check]] = [
        ("folder", partial(check_folder, "folder", folder, _INIT)),
        ("clock", partial(check_clock, clock)),
    ]
    if settings.broker is None or settings.enrol_host is not None:
        checks.append(("authority", partial(_authority, settings, clock)))
    for what in ("broker-tls", "enrol-tls"):
        path = folder / what / "server.pem"
        if path.exists():
            remedy = "start the central: it renews its own certificates daily"
            checks.append(
                (what, partial(check_certificate, what, path, clock, remedy, is_renewed=True))
            )
    if settings.store_url is None:
        checks.append(
            ("store", partial(check_store, "store", settings.store_path, is_expected=False))
        )
    checks.append(("broker program", partial(_program, settings)))
    checks.append(("ports", partial(_ports, settings)))
    checks.append(("devices", partial(_devices, settings, clock)))
    return checks


def _authority(settings: CentralSettings, clock: Clock) -> Iterator[Finding]:
    try:
        authority = Authority.load(settings.folder / "ca")
    except AuthorityError as error:
        yield failed("authority", str(error), _INIT)
        return
    yield from check_certificate(
        "authority",
        authority.certificate_path,
        clock,
        "all devices need a new one",
        is_renewed=True,
    )


def _program(settings: CentralSettings) -> Iterator[Finding]:
    if settings.broker is not None:
        return
    find = find_nats if settings.broker_kind is BrokerKind.NATS else find_mosquitto
    try:
        yield ok("broker program", str(find(settings.broker_binary)))
    except BrokerMissingError as error:
        yield failed("broker program", str(error))


def _ports(settings: CentralSettings) -> Iterator[Finding]:
    ports = {"page": (settings.http_host, settings.http_port)}
    if settings.broker is None:
        ports["broker"] = (settings.broker_host, settings.broker_port)
    else:
        ports["broker"] = (settings.broker.host, settings.broker.port)
    if settings.enrol_host is not None:
        ports["enrolment"] = (settings.enrol_host, settings.enrol_port)
    answering = {name: listens(*where) for name, where in ports.items() if where[1]}
    told = ", ".join(f"{name} {ports[name][0]}:{ports[name][1]}" for name in answering)
    if all(answering.values()):
        yield ok("ports", f"all answer ({told})")
    elif not any(answering.values()):
        yield warning("ports", f"none answers ({told}): the central is not running")
    else:
        silent = ", ".join(name for name, is_there in answering.items() if not is_there)
        yield failed(
            "ports",
            f"{silent} does not answer, the others do ({told})",
            "is another program there? the central's log says",
        )


def _devices(settings: CentralSettings, clock: Clock) -> Iterator[Finding]:
    """Whose certificate has run out, or soon will?"""
    if settings.store_url is None and not settings.store_path.exists():
        return
    store = open_store(settings.store_path, settings.store_url)
    try:
        soon = int(clock.wall()) + int(_SOON.total_seconds() * 1e6)
        enrolled = [d.device for d in store.devices() if d.revoked_at is None]
        late = [
            device
            for device in enrolled
            if (issued := [c for c in store.certificates(device) if c.revoked_at is None])
            and issued[0].not_after < soon
        ]
    finally:
        store.close()
    if late:
        yield warning(
            "devices",
            f"certificates that end within {_SOON.days} days or have ended: {', '.join(late[:20])}",
            "are they switched on, and is [central] url set there?",
        )
    else:
        yield ok("devices", f"{len(enrolled)} enrolled, none with a certificate that ends soon")
