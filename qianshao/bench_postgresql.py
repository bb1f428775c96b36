"""A PostgreSQL server for measurements and tests, on a Unix socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import psycopg

_NOBODY = ("postgres", "nobody")


def find_binaries() -> Path | None:
    """Folder of the newest installed server; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    return next((path for path in reversed(found) if (path / "initdb").exists()), None)


def _as_normal_user(folder: Path) -> list[str]:
    """What to put before a command: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    for name in _NOBODY:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return [
            "setpriv",
            f"--reuid={user.pw_uid}",
            f"--regid={user.pw_gid}",
            "--clear-groups",
        ]
    raise RuntimeError("no normal user to run PostgreSQL as")


class PostgresServer:
    """Databases for one run. Nothing listens on the network."""

    def __init__(self, *, is_durable: bool = False) -> None:
        binaries = find_binaries()
        assert binaries is not None
        self._binaries = binaries
        self._is_durable = is_durable
        self._made = 0

    def __enter__(self) -> PostgresServer:
        # A path of a Unix socket has at most 107 bytes: pytest's own folders are too deep.
        self._folder = Path(tempfile.mkdtemp(prefix="qs-pg-"))
        self._prefix = _as_normal_user(self._folder)
        self._run(
            "initdb",
            "-D",
            self._data,
            "-U",
            "qianshao",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder}"
        if not self._is_durable:
            options += " -c fsync=off -c full_page_writes=off"
        self._run(
            "pg_ctl",
            "-D",
            self._data,
            "-w",
            "-l",
            str(self._folder / "log"),
            "-o",
            options,
            "start",
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, tool: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._binaries / tool), *arguments]
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{tool}: {done.stdout}")

    def url(self, database: str = "postgres") -> str:
        """URL of a database as a configuration gives it."""
        return f"postgresql://qianshao@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._made += 1
        name = f"t{self._made}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)
