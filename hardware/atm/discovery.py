"""Finds the XFS4IoT services of a machine: publishers by their ports, services by what they can do.

The standard gives a publisher thirteen ports to choose from, and several may run beside each other,
so all are tried at once. A service is recognised by the capability block it fills, never by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from hardware.atm.interface import DeviceLostError
from hardware.atm.xfs4iot import Dialect
from hardware.atm.xfs_client import PORTS, XfsClient

ROOT: Final = "/xfs4iot/v1.0"
PROBE_S: Final = 3.0
SIMULATED_VENDOR: Final = "Qianshao simulator"
"""What the simulated ATM's publisher says it is: whatever its camera shows is simulated."""
MAX_SERVICES: Final = 64
"""More than any machine has: a publisher that names more is not believed."""


class ServiceKind(StrEnum):
    """What a service can do, by the name of its capability block."""

    CARD_READER = "cardReader"
    CASH_DISPENSER = "cashDispenser"
    PIN_PAD = "pinPad"
    KEYBOARD = "keyboard"
    CASH_MANAGEMENT = "cashManagement"
    CAMERA = "camera"
    BIOMETRIC = "biometric"


@dataclass(frozen=True, slots=True)
class Found:
    """Services by what they can do, and what could not be asked."""

    services: dict[ServiceKind, str]
    problems: tuple[str, ...] = field(default=())
    vendors: dict[str, str] = field(default_factory=dict)
    """What each service's publisher says of itself."""


def standard_publishers(host: str = "127.0.0.1", ports: Sequence[int] = PORTS) -> list[str]:
    """Return where publishers may be: 443 in TLS alone, 80 in the clear, the others either way."""
    urls = []
    for port in ports:
        schemes = {80: ("ws",), 443: ("wss",)}.get(port, ("ws", "wss"))
        urls += [f"{scheme}://{host}:{port}{ROOT}" for scheme in schemes]
    return urls


def discover(publishers: Iterable[str], dialect: Dialect, timeout_s: float = PROBE_S) -> Found:
    """Ask every publisher at once for its services, and each service for what it can do.

    The first that has a capability wins. Silence of a candidate is no problem; a service that a
    publisher names and that does not answer is one.
    """
    candidates = list(publishers)
    with ThreadPoolExecutor(max_workers=max(1, len(candidates))) as pool:
        vendors: dict[str, str] = {}
        for vendor, named in pool.map(lambda u: _services(u, dialect, timeout_s), candidates):
            for uri in named:
                vendors.setdefault(uri, vendor)
        uris = list(vendors)
        asked = list(pool.map(lambda u: _kinds(u, dialect, timeout_s), uris))
    services: dict[ServiceKind, str] = {}
    problems = []
    for uri, kinds in zip(uris, asked, strict=True):
        if kinds is None:
            problems.append(f"{uri} does not answer")
            continue
        for kind in kinds:
            services.setdefault(kind, uri)
    return Found(services, tuple(problems), vendors)


def _services(publisher: str, dialect: Dialect, timeout_s: float) -> tuple[str, list[str]]:
    """Return a publisher's own name and its services."""
    client = XfsClient(publisher, dialect, timeout_s=timeout_s)
    try:
        payload = client.ask("ServicePublisher.GetServices").payload
    except DeviceLostError:
        return "", []
    finally:
        client.close()
    listed, vendor = payload.get("services"), str(payload.get("vendorName", ""))
    if not isinstance(listed, list):
        return vendor, []
    host = urlsplit(publisher).hostname
    uris = [one.get("serviceURI") for one in listed[:MAX_SERVICES] if isinstance(one, dict)]
    return vendor, [uri for uri in uris if isinstance(uri, str) and _is_of(uri, host)]


def _is_of(uri: str, host: str | None) -> bool:
    """Whether a service is on its publisher's machine: nobody leads us to another one's devices."""
    try:
        parts = urlsplit(uri)
        return parts.scheme in {"ws", "wss"} and parts.hostname == host
    except ValueError:
        return False


def _kinds(uri: str, dialect: Dialect, timeout_s: float) -> list[ServiceKind] | None:
    client = XfsClient(uri, dialect, timeout_s=timeout_s)
    try:
        payload = client.ask("Common.Capabilities").payload
    except DeviceLostError:
        return None
    finally:
        client.close()
    return [kind for kind in ServiceKind if isinstance(payload.get(kind.value), dict)]
