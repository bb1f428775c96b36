"""Make .venv from the hashed lock files and say what it cost.

Standard library only, because it runs before anything is installed. Usage:
``python3 requirements/install.py [all|agent] [DIRECTORY]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

# A network that inspects TLS puts its own authority here; pip already reads it.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

ROOT = Path(__file__).resolve().parent.parent


def fail(message: str) -> None:
    """Print what is wrong and how to mend it, and end with status 2."""
    print(f"setup: {message}", file=sys.stderr)
    raise SystemExit(2)


def run(*command: str | Path, quiet: bool = False) -> None:
    """Run one step; on failure show what it printed and end with status 1."""
    done = subprocess.run(
        [str(c) for c in command], cwd=ROOT, capture_output=quiet, text=True, check=False
    )
    if done.returncode:
        if quiet:
            print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        print(f"setup: failed: {' '.join(str(c) for c in command)}", file=sys.stderr)
        raise SystemExit(1)


def make_venv(target: Path) -> Path:
    """Create the environment with pip inside and return its python."""
    # Debian splits ensurepip off into python3-venv and its error comes after a half-made
    # folder, so ask first.
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python3.{sys.version_info.minor}-venv"
        fail(
            f"this python3 has no venv module. Install the package that brings it "
            f"(Debian/Ubuntu: apt install python3-venv, or {package}), then run make again."
        )
    run(sys.executable, "-m", "venv", "--clear", target)
    return target / ("Scripts" if os.name == "nt" else "bin") / "python"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, symbolic links not followed."""
    total = 0
    for base, _, names in os.walk(folder):
        total += sum((Path(base) / name).lstat().st_size for name in names)
    return total


def install(selection: str, target: Path) -> None:
    """Install one lock file and the project itself into ``target``."""
    started = time.monotonic()
    lock = ROOT / "requirements" / f"{selection}.txt"
    if not lock.is_file():
        fail(f"no lock file {lock.name}; choose all or agent")
    python = make_venv(target)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--require-hashes", "--only-binary", ":all:",
        "-r", ROOT / "requirements" / "bootstrap.txt")  # fmt: skip
    uv: list[str | Path] = [python.with_name("uv"), "pip"]
    quietly = ["-q", *(["--system-certs"] if SYSTEM_CERTIFICATES.is_file() else [])]
    run(*uv, "sync", *quietly, "--require-hashes", "--no-build", "-p", python, lock)
    if selection == "all":
        # sync removes whatever the lock does not name, the project included: it goes in last,
        # built by the locked backend (with isolation an unhashed one would be fetched).
        options = [*quietly, "--no-deps", "--no-build-isolation"]
        run(*uv, "install", *options, "-p", python, "-e", ROOT)
    seconds = time.monotonic() - started
    megabytes = folder_bytes(target) / 1e6
    print(f"setup: {selection} installed in {seconds:.1f} s, {megabytes:.0f} MB in {target.name}")


def main() -> None:
    """Read the two optional arguments and install."""
    if sys.version_info < (3, 11):
        fail(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    selection = sys.argv[1] if len(sys.argv) > 1 else "all"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / ".venv"
    install(selection, target)


if __name__ == "__main__":
    main()
