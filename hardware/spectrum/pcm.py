"""A receiver's loudspeaker as a sensor: 16 bit audio to programme features and 30 s clips.

Takes a WAV stream, or bare signed 16 bit little-endian mono samples as ``arecord -t raw`` and
``rtl_fm`` write them. The receiver stands on one frequency, which the configuration says. Hiss and
silence are no programme: nothing is heard then.
"""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
from numpy.typing import NDArray

from hardware.modems.interface import Arrival
from hardware.readings import CarrierReading, Item, Stamp, Unreadable
from hardware.spectrum.audio import AUDIO_RATE_HZ, BANDS_HZ, audio_features

BLOCK_S = 10
CLIP_BLOCKS = 3
"""30 s, as regulators keep of a station."""
RATE_MIN_HZ, RATE_MAX_HZ = AUDIO_RATE_HZ, 192_000
SILENCE = 10 ** (-60 / 20)
"""Effective value against full scale: a closed squelch."""
STEADY_DECADES = 0.2
"""Noise holds its energy in each band within 0.04 to 0.13 decades from frame to frame (a band of N
bins varies by 0.43 / sqrt(N)); speech and music move by more than 0.3."""
HEADER_MAX = 4096
RAW_BYTES = 4096
_PCM, _EXTENSIBLE = 1, 0xFFFE
_Samples = NDArray[np.int16]


class PcmReader:
    """Cuts a stream of audio into blocks of 10 s; sans I/O."""

    def __init__(self, *, sensor: str, file: str, mhz: float, rate_hz: int) -> None:
        self._sensor, self._file, self._mhz = sensor, file, mhz
        self._bare_rate_hz = rate_hz
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._pending = bytearray()
        self._rate_hz, self._channels = self._bare_rate_hz, 1
        self._has_begun = self._is_refused = False
        self._clip: list[_Samples] = []

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what they complete. Never raises."""
        if self._is_refused:
            return []
        self._pending += data
        if not self._has_begun and (problem := self._open()) is not None:
            self._is_refused = True
            self._pending.clear()
            return [self._unreadable("header", problem)]
        items: list[Item] = []
        size = self._rate_hz * BLOCK_S * 2 * self._channels
        while self._has_begun and len(self._pending) >= size:
            items.append(self._block(bytes(self._pending[:size]), arrival))
            del self._pending[:size]
        return items

    def close(self) -> list[Item]:
        """The stream breaks here: what is no whole block is dropped, a new header may follow."""
        self._begin()
        return []

    def _open(self) -> str | None:
        """Find where the samples begin; a problem is told in words."""
        head = self._pending
        if len(head) < 4:
            return None
        if head[:4] != b"RIFF":
            self._has_begun = True
            return None
        return self._open_wav(bytes(head[:HEADER_MAX]))

    def _open_wav(self, head: bytes) -> str | None:
        if len(head) < 12:
            return None
        if head[8:12] != b"WAVE":
            return "RIFF, but no WAVE"
        at, is_told = 12, False
        while len(head) >= at + 8:
            name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
            if name == b"data":
                if not is_told:
                    return "samples before their format"
                del self._pending[: at + 8]
                self._has_begun = True
                return None
            if name == b"fmt " and len(head) >= at + 24:
                if (problem := self._take_format(head[at + 8 : at + 24])) is not None:
                    return problem
                is_told = True
            at += 8 + size + size % 2
        return f"no samples in {HEADER_MAX} bytes" if at + 8 > HEADER_MAX else None

    def _take_format(self, fields: bytes) -> str | None:
        form, channels, rate, _, _, bits = struct.unpack("<HHIIHH", fields)
        if form not in {_PCM, _EXTENSIBLE} or bits != 16:
            return f"format {form} of {bits} bits, 16 bit PCM is needed"
        if channels not in {1, 2}:
            return f"{channels} channels, 1 or 2 are read"
        if not RATE_MIN_HZ <= rate <= RATE_MAX_HZ:
            return f"{rate} samples a second, {RATE_MIN_HZ} to {RATE_MAX_HZ} are read"
        self._rate_hz, self._channels = rate, channels
        return None

    def _block(self, raw: bytes, arrival: Arrival) -> Item:
        self._number += 1
        every = np.frombuffer(raw, "<i2").reshape(-1, self._channels).mean(axis=1)
        step = max(1, self._rate_hz // AUDIO_RATE_HZ)
        usable = len(every) // step * step
        pcm = every[:usable].reshape(-1, step).mean(axis=1)
        rate = self._rate_hz // step
        features = audio_features(pcm / 32768, rate)
        if (problem := not_a_programme(pcm / 32768, features)) is not None:
            self._clip = []
            return self._unreadable(f"block {self._number}", problem, is_damage=False)
        self._clip.append(np.round(pcm).astype("<i2"))
        clip = None
        if len(self._clip) == CLIP_BLOCKS:
            clip, self._clip = wav_bytes(np.concatenate(self._clip), rate), []
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=f"block {self._number}",
            received_us=arrival.received_us,
        )
        return CarrierReading(
            stamp=stamp,
            raw=raw[:RAW_BYTES],
            mhz=self._mhz,
            level_dbm=None,
            audio=features,
            clip=clip,
        )

    def _unreadable(self, place: str, reason: str, *, is_damage: bool = True) -> Unreadable:
        return Unreadable(file=self._file, place=place, reason=reason, is_damage=is_damage)


def not_a_programme(pcm: NDArray[np.float64], features: tuple[float, ...]) -> str | None:
    """Tell silence and the hiss of an empty channel from a programme; None: a programme."""
    if float(np.sqrt(np.mean(pcm**2))) < SILENCE:
        return "silence"
    bands = np.asarray(features).reshape(-1, len(BANDS_HZ) - 1)
    if float(np.median(bands.std(axis=0))) < STEADY_DECADES:
        return "hiss of an empty channel"
    return None


def wav_bytes(samples: _Samples, rate_hz: int) -> bytes:
    """Mono samples as a WAV file that any player opens."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
