"""IQ samples to carriers with features of their programme: who speaks with whose voice.

Features are log energies of eight bands in 100 ms frames, each band less its own mean: gain and
tone of a receiver go, the course of speech and music stays. Two receptions of one programme at the
same time correlate; two programmes do not. Two carriers of one IQ block are heard at the same time,
two visits of one tuner are not.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hardware.readings import CarrierReading, Stamp

AUDIO_RATE_HZ = 16_000
FRAME_S = 0.1
BANDS_HZ = (150, 300, 500, 800, 1200, 1800, 2700, 4000, 6000)
CHANNEL_HZ = 200_000.0
OCCUPIED_SHARE = 0.99
"""ITU-R SM.443: the width that holds 99 % of the power."""
SECONDS_MIN = 2.0
BLOCK_MIN = 1024

_Complex = NDArray[np.complex64]
_Float = NDArray[np.float64]


def audio_features(pcm: _Float, rate_hz: float) -> tuple[float, ...]:
    """Features of some seconds of audio; empty below SECONDS_MIN."""
    size = int(rate_hz * FRAME_S)
    frames = len(pcm) // size if size else 0
    if frames * FRAME_S < SECONDS_MIN:
        return ()
    shaped = pcm[: frames * size].reshape(frames, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(shaped, axis=1)) ** 2
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    edges = np.searchsorted(hz, BANDS_HZ)
    bands = np.stack([power[:, a:b].sum(axis=1) for a, b in itertools.pairwise(edges)], axis=1)
    # a floor of 60 dB below the loudest: silence is silence, not its own noise
    loud = max(float(bands.max()), 1e-30)
    logs = np.log10(np.maximum(bands, loud * 1e-6))
    logs -= logs.mean(axis=0)
    return tuple(float(value) for value in logs.ravel())


def channel(
    iq: _Complex, rate_hz: float, offset_hz: float, width_hz: float
) -> tuple[_Complex, float]:
    """Shift a channel to zero and cut it out; returns samples and their rate."""
    count = len(iq)
    spectrum = np.fft.fft(iq)
    keep = max(2, int(count * width_hz / rate_hz) // 2 * 2)
    centre = round(offset_hz / rate_hz * count)
    index = (np.arange(-keep // 2, keep // 2) + centre) % count
    part = np.fft.ifft(np.fft.ifftshift(spectrum[index])) * (keep / count)
    return part.astype(np.complex64), rate_hz * keep / count


def demodulate_fm(iq: _Complex, rate_hz: float) -> tuple[_Float, float]:
    """Discriminator and de-emphasis by averaging; returns audio and its rate."""
    turns = np.angle(iq[1:] * np.conj(iq[:-1]))
    step = max(1, int(rate_hz // AUDIO_RATE_HZ))
    usable = len(turns) // step * step
    if not usable:
        return np.empty(0), rate_hz / step
    audio = turns[:usable].reshape(-1, step).mean(axis=1)
    return audio.astype(np.float64) - float(audio.mean()), rate_hz / step


def carriers_of_iq(
    iq: _Complex,
    rate_hz: float,
    centre_hz: float,
    mhz: Sequence[float],
    stamp: Stamp,
    *,
    full_scale_dbm: float = 0.0,
) -> list[CarrierReading]:
    """Measure the named carriers of one IQ block: level, width, programme.

    ``full_scale_dbm``: level that a full-scale sine stands for. A carrier outside of the block's
    bandwidth is left out; a block with samples that are no numbers has none.
    """
    found: list[CarrierReading] = []
    if len(iq) < BLOCK_MIN or not np.isfinite(iq).all():
        return found
    for wanted in mhz:
        offset = wanted * 1e6 - centre_hz
        if abs(offset) + CHANNEL_HZ / 2 > rate_hz / 2:
            continue
        part, rate = channel(iq, rate_hz, offset, CHANNEL_HZ)
        level = 10 * np.log10(max(float(np.mean(np.abs(part) ** 2)), 1e-20)) + full_scale_dbm
        audio, audio_rate = demodulate_fm(part, rate)
        found.append(
            CarrierReading(
                stamp=stamp,
                raw=np.asarray(part[:512]).tobytes(),
                mhz=wanted,
                level_dbm=round(float(level), 2),
                width_khz=round(_occupied_hz(part, rate) / 1000, 1),
                audio=audio_features(audio, audio_rate) or None,
            )
        )
    return found


def _occupied_hz(part: _Complex, rate_hz: float) -> float:
    power = np.abs(np.fft.fftshift(np.fft.fft(part))) ** 2
    total = np.cumsum(power)
    if not total.size or total[-1] <= 0:
        return 0.0
    low, high = np.searchsorted(
        total, [total[-1] * (1 - OCCUPIED_SHARE) / 2, total[-1] * (1 + OCCUPIED_SHARE) / 2]
    )
    return float(high - low) * rate_hz / len(part)
