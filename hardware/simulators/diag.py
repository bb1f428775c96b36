"""A simulated DIAG port: logs of the radio scene's cells and of a terminal that is attacked.

It says nothing until a log mask asks for it, and then only what the mask asks for.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from hardware.captures.diag_framing import FrameDecoder, encode
from hardware.captures.diag_logs import LOG, LOG_CONFIG, LogCode
from hardware.readings import Rat
from hardware.simulators.broadcasts import si3, sib1
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript
from hardware.simulators.peers import CellView
from hardware.simulators.scene import RadioScene

_PERIOD_S = 1.0
_LTE_VERSION = 20


def log_frame(code: int, body: bytes, ticks: int = 0) -> bytes:
    """A DIAG_LOG_F frame for the line."""
    inner = 12 + len(body)
    return encode(struct.pack("<BBHHHQ", LOG, 0, inner, inner, code, ticks) + body)


def gsm_log(frame: bytes) -> bytes:
    """A frame of the BCCH as log 0x512F has it."""
    return log_frame(LogCode.GSM_RR, bytes((0x81, 0x1B, len(frame))) + frame)


def lte_log(message: bytes, pci: int, earfcn: int, *, version: int = _LTE_VERSION) -> bytes:
    """A BCCH-DL-SCH message as log 0xB0C0 has it, in any version of the header."""
    head = bytes((version, 0x0E, 0x20)) + (b"\x0f\x10" if version >= 25 else b"") + b"\x00"
    head += struct.pack("<HIH" if version >= 8 else "<HHH", pci, earfcn, 0)
    channel = 3 if version == 19 or version >= 26 else 2
    head += bytes((channel,)) + (bytes(4) if version >= 5 else b"")
    return log_frame(LogCode.LTE_RRC, head + struct.pack("<H", len(message)) + message)


def nas_log(message: bytes, *, is_uplink: bool) -> bytes:
    """A plain EMM message as logs 0xB0EC and 0xB0ED have it."""
    code = LogCode.LTE_EMM_OUT if is_uplink else LogCode.LTE_EMM_IN
    return log_frame(code, bytes((1, 9, 5, 0)) + message)


class SimulatedDiag(SimulatedModem):
    """The DIAG port of a simulated modem; ``nas`` is played once, after the first round."""

    def __init__(
        self,
        scene: RadioScene,
        link: Path,
        *,
        nas: Sequence[bytes] = (),
        is_torn: bool = False,
        period_s: float = _PERIOD_S,
        seed: int = 0,
    ) -> None:
        super().__init__(SceneScript("genuine"), link, is_torn=is_torn, seed=seed)
        self._views = (CellView(scene, Rat.GSM), CellView(scene, Rat.LTE))
        self._nas = list(nas)
        self._period_s = period_s
        self._decoder = FrameDecoder()
        self._mask: set[int] = set()
        self._due_s: float | None = None

    def _take(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            if frame.problem is None and frame.payload[0] == LOG_CONFIG:
                self._set_mask(frame.payload)

    def _set_mask(self, payload: bytes) -> None:
        _, operation, equipment, count = struct.unpack_from("<B3xIII", payload)
        mask = payload[16:]
        self._mask = {code for code in self._mask if code >> 12 != equipment}
        self._mask |= {
            equipment << 12 | item for item in range(count) if mask[item // 8] >> item % 8 & 1
        }
        self._say(encode(struct.pack("<B3xIIII", LOG_CONFIG, operation, 0, equipment, count)))
        self._due_s = self._due_s or monotonic() + 0.01

    def _tick(self, now_s: float) -> float | None:
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = now_s + self._period_s
            self._round()
        return self._due_s

    def _remove(self) -> None:
        super()._remove()
        self._decoder.close()
        self._mask.clear()  # a modem forgets its masks
        self._due_s = None

    def _round(self) -> None:
        for view in self._views:
            serving = view.serving()
            if serving is None:
                continue
            cell = serving.cell
            if cell.rat is Rat.GSM and LogCode.GSM_RR in self._mask:
                self._say(gsm_log(si3(cell)))
            elif cell.rat is Rat.LTE and LogCode.LTE_RRC in self._mask:
                self._say(lte_log(sib1(cell), cell.physical_id, cell.channel))
        if LogCode.LTE_EMM_IN in self._mask:
            for message in self._nas:
                is_uplink = message[1:2] in {b"\x41", b"\x43", b"\x53", b"\x5c"}
                self._say(nas_log(message, is_uplink=is_uplink))
            self._nas.clear()


def nas_messages(capture: bytes) -> list[bytes]:
    """The messages of a classic pcap of link type 148, as :mod:`hardware.simulators.nas` writes."""
    position, messages = 24, []
    while position + 16 <= len(capture):
        length = int.from_bytes(capture[position + 8 : position + 12], "little")
        messages.append(capture[position + 16 : position + 16 + length])
        position += 16 + length
    return messages
