"""What a receiver's loudspeaker gives: speech-like syllables, or the hiss of an empty channel.

``python -m hardware.simulators.programme --seconds 60`` writes bare 16 bit samples to stdout, as
``arecord -t raw`` and ``rtl_fm`` do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000


def syllables(seed: int, seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """Syllables of changing pitch and loudness."""
    rng = np.random.default_rng(seed)
    total, have = int(seconds * rate_hz), 0
    parts: list[NDArray[np.float64]] = []
    while have < total:
        size = int(rate_hz * rng.uniform(0.1, 0.4))
        time = np.arange(size) / rate_hz
        tones = rng.uniform(200, 5000, 3)
        loud = rng.choice([0.02, 0.3, 1.0])
        parts.append(loud * sum(np.sin(2 * np.pi * tone * time) for tone in tones) / 3)
        have += size
    noise = rng.normal(0, 0.001, total)
    return np.asarray(((np.concatenate(parts)[:total] + noise) * 20_000).astype("<i2"))


def hiss(seed: int, seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """An FM receiver without a carrier: noise whose power rises with frequency."""
    rng = np.random.default_rng(seed)
    noise = np.diff(rng.normal(0, 4000, int(seconds * rate_hz) + 1))
    return np.asarray(np.clip(noise, -32768, 32767).astype("<i2"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write samples to stdout."""
    parser = argparse.ArgumentParser(description="a simulated receiver's audio, S16LE mono")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate-hz", type=int, default=RATE_HZ)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hiss", action="store_true", help="an empty channel")
    given = parser.parse_args(arguments)
    make = hiss if given.hiss else syllables
    sys.stdout.buffer.write(make(given.seed, given.seconds, given.rate_hz).tobytes())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
