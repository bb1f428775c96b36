"""Give a board a new application: sent, checked by the board, tried, and kept only if it works."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from hardware.board import messages as m
from hardware.board.client import BoardLink
from hardware.board.image import digest, unpack
from hardware.board.interface import BoardError
from hardware.serial import PortError

_CHUNK = 224
_TRIAL = 2
_BACK_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05


class UpdateFailedError(BoardError):
    """The board runs what it ran before; the message says why."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What runs now."""

    slot: str
    sha256: str


async def install(
    link: BoardLink,
    image: bytes,
    *,
    key: bytes | None = None,
    back_within_s: float = _BACK_WITHIN_S,
    progress: Callable[[int, int], None] = lambda _done, _size: None,
) -> Installed:
    """Send an image, restart the board, and confirm it once it answers from the new one.

    ImageError where the bytes are no image, CommandRefusedError where the board says no,
    UpdateFailedError where it came back with the old application or not at all.
    """
    unpack(image)
    wanted = digest(image)
    before = await link.greeted()
    await link.command(m.Stop())
    size = len(image).to_bytes(4, "little")
    proof = bytes(16)
    if key is not None:
        claim = before.boot_id.to_bytes(4, "little") + size + wanted
        proof = hmac.digest(key, claim, "sha256")[:16]
    await link.command(m.UpdateBegin(size=len(image), sha256=wanted, proof=proof))
    for offset in range(0, len(image), _CHUNK):
        data = image[offset : offset + _CHUNK]
        await link.command(m.UpdateData(offset=offset, data=data))
        progress(offset + len(data), len(image))
    await link.command(m.UpdateEnd())
    await link.command(m.Reboot(is_safe=0))
    return await _confirm(link, before, wanted, back_within_s)


async def _confirm(
    link: BoardLink, before: m.Hello, wanted: bytes, back_within_s: float
) -> Installed:
    try:
        async with asyncio.timeout(back_within_s):
            hello = await _trial_or_back(link, before, wanted)
            while True:
                try:
                    await link.command(m.ConfirmBoot())
                    break
                except PortError:  # restarting once more
                    await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError as error:
        raise UpdateFailedError(f"{link.name}: the board does not come back") from error
    return Installed(hello.slot.decode("ascii"), wanted.hex())


async def _trial_or_back(link: BoardLink, before: m.Hello, wanted: bytes) -> m.Hello:
    """Wait for a hello of another boot: of the new image, or of the old one."""
    while True:
        hello = await link.greeted()
        if hello.boot_id != before.boot_id:
            if hello.flags & _TRIAL and hello.image == wanted[:8]:
                return hello
            raise UpdateFailedError(
                f"{link.name}: the new application did not start; slot "
                f"{hello.slot.decode('ascii', 'replace')} runs again"
            )
        await asyncio.sleep(_LOOK_EVERY_S)
