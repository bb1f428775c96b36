"""A copy of a device's state that can be put back without using a sequence number twice.

What is copied is a list of what is known, not all that lies there: templates of faces stay on the
machine, keys too unless they are asked for, and what the central gives again is left out.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.clock import Clock
from contract.codec import rfc3339
from contract.copies import CopyError, copy_file, new_folder, read_manifest, write_manifest
from contract.files import replace_durably, sync_folder
from edge_agent.atm.closure import Closure
from edge_agent.atm.key_ring import BOX_FILE
from edge_agent.config import AgentConfig
from edge_agent.enrolment import NEXT_KEY_FILE
from edge_agent.identity import EVIDENCE_KEY_FILE, TLS_KEY_FILE
from edge_agent.outbox_errors import SeqFloorError
from edge_agent.seq_floor import SeqFloor

SCHEMA = "qianshao-agent-backup/1"
OUTBOX, FLOOR, ORDERS, EVIDENCE = "outbox.sqlite3", "seq.floor", "orders.sqlite3", "evidence"

MARGIN = 100_000
"""Numbers passed over after a restore, above the highest that is known to have been used: what was
sent and waits in a broker's queue is known to nobody who could be asked."""

_MAX_SEQ = 10**17

_PLAIN = (
    OUTBOX,  # first: the evidence that its messages name is there before they are
    FLOOR,
    ORDERS,
    EVIDENCE,
    "baselines.json",
    "dispatches.json",
    "notices.json",
    "out-of-service",
    "put-into-service.log",
)
_WITH_KEYS = (
    EVIDENCE_KEY_FILE,
    TLS_KEY_FILE,
    NEXT_KEY_FILE,
    BOX_FILE,
    # An ATM's, by name: its modules need more than a bare agent has installed.
    "journal.key",
    "journal.sqlite3",  # nobody can read its accounts without the key
    "last_visit",
    "spent-today.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy holds, or what was put back of it."""

    made_at: str
    files: int
    size_bytes: int
    waiting: int
    last_seq: int
    has_keys: bool
    kept: tuple[str, ...] = ()
    """Files that stood in the state folder already, and were left alone."""
    floor: int = 0
    """After a restore, the number above which the device goes on."""


def back_up(config: AgentConfig, to: Path, clock: Clock, *, with_keys: bool = False) -> Copied:
    """Copy the state of an agent, which may be running, into a new folder; raises CopyError."""
    state = config.state_dir
    if to.exists():
        raise CopyError(f"{to} exists: name a folder that does not")
    if not (state / OUTBOX).is_file():
        raise CopyError(f"{state / OUTBOX} is not there: did this agent ever run?")
    names = (*_PLAIN, *_WITH_KEYS, *_papers(config)) if with_keys else _PLAIN
    with new_folder(to) as unfinished:
        files: dict[str, dict[str, Any]] = {}
        for path in _found(state, names):
            name = path.relative_to(state)
            try:
                files[str(name)] = copy_file(path, unfinished / name)
            except FileNotFoundError:
                if name.parts[0] != EVIDENCE:  # a running agent deletes what is too old
                    raise
                (unfinished / name).unlink(missing_ok=True)
        waiting, last_seq = _outbox_of(unfinished / OUTBOX)
        manifest = {
            "schema": SCHEMA,
            "made_at": rfc3339(clock.wall()),
            "tenant": config.tenant,
            "device": config.device,
            "waiting": waiting,
            "last_seq": last_seq,
            "has_keys": with_keys,
            "files": files,
        }
        write_manifest(unfinished, manifest)
    return _told(manifest)


def restore(config: AgentConfig, source: Path, *, sent_up_to: int) -> Copied:
    """Put a copy into a state folder that has no outbox; what else stands there is left alone.

    ``sent_up_to`` is the highest sequence number that the central knows of this device. The device
    goes on above that, what the copy knows and what the folder still says, by :data:`MARGIN`: a
    number that named something else before is taken for tampering. An ATM comes back closed,
    because its copy knows nothing of the withdrawals since. Raises CopyError.
    """
    manifest = read_manifest(source, SCHEMA)
    owner = manifest.get("device"), manifest.get("tenant")
    if owner != (config.device, config.tenant):
        raise CopyError(
            f"the copy is of {owner[0]!r} of {owner[1]!r}, the configuration of another"
        )
    if not 0 <= sent_up_to < _MAX_SEQ:
        raise CopyError(f"{sent_up_to} is no sequence number")
    state = config.state_dir
    if (state / OUTBOX).exists():
        raise CopyError(
            f"{state / OUTBOX} is there: if it can be read it is newer than any copy, and nothing "
            "needs to be put back; else stop the agent and move it away first, with its -wal file"
        )
    for suffix in ("-wal", "-shm"):
        if (state / (OUTBOX + suffix)).exists():
            raise CopyError(f"{state / (OUTBOX + suffix)} is left of another outbox: move it away")
    floor = max(sent_up_to, _last_seq(source), _floor(source), _floor(state)) + MARGIN
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In this order: whatever is cut off, no outbox stands there without its floor.
        replace_durably(state / FLOOR, b"%d\n" % floor)
        if config.atm is not None:
            Closure(state).close(
                f"the state was put back from a copy of {manifest.get('made_at')}: settle with the "
                "bank's host what was withdrawn since"
            )
        names = sorted(set(manifest["files"]) - {FLOOR}, key=lambda name: (name == OUTBOX, name))
        kept = tuple(name for name in names if not _put(source / name, state / name))
    except (OSError, sqlite3.Error) as error:
        raise CopyError(f"{state} cannot be written: {error}") from error
    return _told(manifest, kept=kept, floor=floor)


def _put(source: Path, to: Path) -> bool:
    """Copy a file to where there is none; False if there is one."""
    if to.exists():
        return False
    unfinished = to.with_name(f".{to.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    copy_file(source, unfinished)
    unfinished.rename(to)
    sync_folder(to.parent)
    return True


def _papers(config: AgentConfig) -> tuple[str, ...]:
    """Certificates and the central's key, where they lie in the state folder."""
    paths = [config.central.public_key]
    if (tls := config.broker.tls) is not None:
        paths += [tls.ca, tls.certificate]
    state = config.state_dir.resolve()
    inside = [path.resolve() for path in paths if path.resolve().is_relative_to(state)]
    return tuple(str(path.relative_to(state)) for path in inside)


def _found(state: Path, names: tuple[str, ...]) -> list[Path]:
    """The files of these names, and those below them where one is a folder."""
    found: list[Path] = []
    for name in dict.fromkeys(names):
        path = state / name
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in below if file.is_file() and not file.name.startswith(".")]
    return found


def _outbox_of(path: Path) -> tuple[int, int]:
    """Return how many messages wait in an outbox, and its newest number."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        (waiting,) = db.execute("SELECT count(*) FROM outbox").fetchone()
        row = db.execute("SELECT last_seq FROM chain").fetchone()
    return int(waiting), int(row[0]) if row else 0


def _last_seq(source: Path) -> int:
    try:
        return _outbox_of(source / OUTBOX)[1]
    except sqlite3.Error as error:
        raise CopyError(f"{source / OUTBOX} cannot be read: {error}") from error


def _floor(folder: Path) -> int:
    try:
        return SeqFloor(folder / FLOOR).read() or 0
    except SeqFloorError:
        return 0  # the other numbers have to do


def _told(manifest: dict[str, Any], kept: tuple[str, ...] = (), floor: int = 0) -> Copied:
    files = manifest["files"]
    return Copied(
        made_at=str(manifest.get("made_at")),
        files=len(files),
        size_bytes=sum(told["size_bytes"] for told in files.values()),
        waiting=int(manifest.get("waiting", 0)),
        last_seq=int(manifest.get("last_seq", 0)),
        has_keys=bool(manifest.get("has_keys")),
        kept=kept,
        floor=floor,
    )
