"""What can be wrong with an agent, looked at without disturbing one that runs."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from contract.clock import Clock
from contract.keyfiles import check_private
from edge_agent.atm.closure import Closure
from edge_agent.atm_config import AtmConfig
from edge_agent.config import AgentConfig
from edge_agent.identity import (
    EVIDENCE_KEY_FILE,
    TLS_KEY_FILE,
    Identity,
    IdentityError,
    find_central,
)
from mqtt_bridge.diagnosis import TlsFilesError, of_error
from mqtt_bridge.ports import BrokerAddress, TlsFiles
from mqtt_bridge.tls import tls_context
from qianshao.doctor.findings import (
    CONNECT_S,
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

_ENROL = "qianshao device enrol"
_TOKEN = "is the token there, and its PIN right?"  # noqa: S105 - a question, no secret
_OTHER_KEY = "put this device's own key back, or move the file away and qianshao device enrol"
_ALERT_S = 1.0
"""A broker that refuses the certificate says so at once (TLS 1.3: after the handshake)."""


def agent_checks(config: AgentConfig, clock: Clock) -> list[tuple[str, Check]]:
    """Return the checks, in the order in which things are needed."""
    checks: list[tuple[str, Check]] = [
        ("state_dir", partial(check_folder, "state_dir", config.state_dir, _ENROL)),
        ("keys", partial(_keys, config)),
        ("clock", partial(check_clock, clock)),
        ("central's key", partial(_central_key, config)),
    ]
    if config.broker.tls is not None:
        path = config.broker.tls.certificate
        remedy = "qianshao device rotate, or " + _ENROL
        checks.append(
            (
                "certificate",
                partial(check_certificate, "certificate", path, clock, remedy, is_renewed=True),
            )
        )
    checks.append(("broker", partial(_broker, config, clock)))
    checks.append(("enrolment", partial(_enrolment, config)))
    for name in ("outbox", "orders"):
        store = config.state_dir / f"{name}.sqlite3"
        checks.append((name, partial(check_store, name, store, is_expected=False)))
    if config.atm is not None:
        checks.append(("atm", partial(_atm, config.atm, config.state_dir)))
    checks += [(f"sensor {s.name}", partial(_sensor, s.name, s.url)) for s in config.sensors]
    return checks


def _atm(atm: AtmConfig, state_dir: Path) -> Iterator[Finding]:
    """Look whether the machine is open, and whether what it leans on is there."""
    problem = Closure(state_dir).problem()
    if problem is not None:
        yield failed("atm", f"closed: {problem}", "look at the machine, then qianshao atm open")
    if atm.gate is not None:
        parts = urlsplit(atm.gate.upstream)
        if listens(parts.hostname or "", parts.port or 80):
            yield ok("atm gate", f"{atm.gate.upstream} answers")
        else:
            yield failed("atm gate", f"{atm.gate.upstream} does not answer", "are the services up?")
    tls = atm.assertion
    for path in () if tls is None else (tls.ca, tls.certificate, tls.private_key):
        if path is not None and not os.access(path, os.R_OK):
            yield failed("atm assertion", f"{path} cannot be read")
    if problem is None:
        yield ok("atm", "open for customers")


def _keys(config: AgentConfig) -> Iterator[Finding]:
    names = (TLS_KEY_FILE,) if config.evidence_token else (EVIDENCE_KEY_FILE, TLS_KEY_FILE)
    for name in names:
        path = config.state_dir / name
        if not path.exists():
            yield failed("keys", f"{path} is not there: this device is not enrolled", _ENROL)
            return
        try:
            check_private(path)
        except IdentityError as error:
            yield failed("keys", str(error), f"chmod 600 {path}")
            return
    try:
        identity = Identity.load_or_create(config.state_dir, config.device, config.evidence_token)
    except IdentityError as error:
        has_token = config.evidence_token is not None
        yield failed("keys", str(error), _TOKEN if has_token else _OTHER_KEY)
        return
    if config.broker.tls is not None:
        try:
            identity.tls_files(ca=config.broker.tls.ca, certificate=config.broker.tls.certificate)
        except IdentityError as error:
            yield failed("keys", str(error), _ENROL)
            return
    yield ok("keys", f"evidence key {identity.signer.kid.hex()[:16]}, private to this user")


def _central_key(config: AgentConfig) -> Iterator[Finding]:
    try:
        find_central(config.central.public_key)
    except IdentityError as error:
        yield failed("central's key", str(error), _ENROL)
        return
    yield ok("central's key", str(config.central.public_key))


def _broker(config: AgentConfig, clock: Clock) -> Iterator[Finding]:
    """Shake hands under TLS and no more: a second MQTT session could end the running agent's."""
    broker = config.broker
    where = f"{broker.host}:{broker.port}"
    if broker.tls is None:
        if listens(broker.host, broker.port):
            yield warning("broker", f"{where} answers, in the clear", "set ca and certificate")
        else:
            yield failed("broker", f"{where} does not answer")
        return
    files = TlsFiles(
        ca=broker.tls.ca,
        certificate=broker.tls.certificate,
        private_key=config.state_dir / TLS_KEY_FILE,
    )
    address = BrokerAddress(host=broker.host, port=broker.port, tls=files)
    try:
        is_silent = _shake_hands(address, tls_context(files))
    except (OSError, TlsFilesError) as error:
        yield failed("broker", of_error(error, address, clock).detail, _remedy(error))
        return
    if is_silent:
        yield ok("broker", f"{where} is the right one and takes this machine's certificate")
    else:
        yield warning("broker", f"{where} speaks first: is it an MQTT broker?")


def _shake_hands(address: BrokerAddress, context: ssl.SSLContext) -> bool:
    """True if the broker then waits for the first word, as it should; raises OSError."""
    with (
        socket.create_connection((address.host, address.port), timeout=CONNECT_S) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as secured,
    ):
        secured.settimeout(_ALERT_S)
        try:
            said = secured.recv(1)
        except TimeoutError:
            return True
        if not said:
            raise ConnectionResetError("it hung up after the handshake")
        return False


def _remedy(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "start the central, or mend host and port under [broker]"
    if isinstance(error, ssl.SSLError):
        return "was this device revoked? see qianshao device list at the central"
    return ""


def _enrolment(config: AgentConfig) -> Iterator[Finding]:
    if config.broker.tls is None:
        return
    if config.central.url is None:
        yield warning(
            "renewal", "no url under [central]: the certificate is not renewed by itself", "set it"
        )
        return
    parts = urlsplit(config.central.url)
    if listens(parts.hostname or "", parts.port or 443):
        yield ok("renewal", f"{config.central.url} answers")
    else:
        yield warning("renewal", f"{config.central.url} does not answer now")


def _sensor(name: str, url: str) -> Iterator[Finding]:
    what = f"sensor {name}"
    parts = urlsplit(url)
    if parts.scheme in {"socket", "rfc2217"}:
        try:
            is_there = listens(parts.hostname or "", parts.port or 0)
        except ValueError:
            is_there = False
        words = f"{url} answers" if is_there else f"{url} does not answer"
        yield ok(what, words) if is_there else failed(what, words)
        return
    is_file = parts.scheme == "replay"
    path = Path(unquote(parts.path)) if is_file else Path(url)
    if not path.exists():
        remedy = "is the path right?" if is_file else "is it plugged in?"
        yield failed(what, f"{path} is not there", remedy)
    elif not os.access(path, os.R_OK):
        yield failed(what, f"{path} may not be opened by this user", "add it to the group dialout")
    else:
        yield ok(what, str(path))
