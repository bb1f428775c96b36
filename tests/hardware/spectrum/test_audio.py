"""IQ to carriers and programmes: modulated here, demodulated by the product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hardware.readings import Stamp
from hardware.spectrum.audio import audio_features, carriers_of_iq
from rf_watch.broadcast.identity import correlation

RATE = 960_000
STAMP = Stamp(at_us=0, time_basis="recorded", sensor="iq0", file="f", place="block 1")


def programme(seed: int, seconds: float = 4.0) -> NDArray[np.float64]:
    """Syllables of changing pitch and loudness at the audio rate."""
    rng = np.random.default_rng(seed)
    rate = 16_000
    parts: list[NDArray[np.float64]] = []
    while sum(len(part) for part in parts) < seconds * rate:
        size = int(rate * rng.uniform(0.1, 0.4))
        time = np.arange(size) / rate
        tones = rng.uniform(200, 5000, 3)
        loud = rng.choice([0.02, 0.3, 1.0])
        parts.append(loud * sum(np.sin(2 * np.pi * tone * time) for tone in tones) / 3)
    return np.concatenate(parts)[: int(seconds * rate)]


def modulated(audio: NDArray[np.float64], offset_hz: float, level: float) -> NDArray[np.complex64]:
    up = np.interp(np.arange(len(audio) * 60) / 60, np.arange(len(audio)), audio)
    phase = 2 * np.pi * np.cumsum(50_000 * up + offset_hz) / RATE
    return np.asarray((level * np.exp(1j * phase)).astype(np.complex64))


def block(seed: int = 1) -> NDArray[np.complex64]:
    """Two stations, and a copy of the first one 40 dB down."""
    one, two = programme(1), programme(2)
    rng = np.random.default_rng(seed)
    iq = modulated(one, -300e3, 0.1) + modulated(two, 0.0, 0.1) + modulated(one, 300e3, 0.001)
    noise = rng.normal(0, 2e-5, len(iq)) + 1j * rng.normal(0, 2e-5, len(iq))
    return np.asarray((iq + noise).astype(np.complex64))


def test_carriers_of_one_programme_correlate_and_others_do_not() -> None:
    got = carriers_of_iq(block(), RATE, 100e6, (99.7, 100.0, 100.3, 120.0), STAMP)
    first, other, copy = got
    assert [c.mhz for c in got] == [99.7, 100.0, 100.3]
    for reading in got:
        assert reading.audio is not None
    assert first.audio is not None
    assert other.audio is not None
    assert copy.audio is not None
    assert correlation(first.audio, copy.audio) > 0.8
    assert correlation(first.audio, other.audio) < 0.2
    assert first.level_dbm == pytest.approx(-20, abs=0.5)
    assert copy.level_dbm == pytest.approx(-60, abs=1.5)
    assert first.width_khz is not None
    assert 20 < first.width_khz < 160


def test_the_gain_of_a_receiver_does_not_matter() -> None:
    audio = programme(3)
    assert correlation(
        audio_features(audio, 16_000), audio_features(audio * 0.01, 16_000)
    ) == pytest.approx(1.0)
    assert audio_features(audio[:1000], 16_000) == ()


@given(
    st.sampled_from([0, 10, 1023, 1024, 5000]),
    st.floats(1e3, 1e7),
    st.sampled_from([0.0, 1.0, float("nan")]),
)
def test_any_block_never_raises(size: int, rate: float, value: float) -> None:
    iq = np.full(size, value, dtype=np.complex64)
    carriers_of_iq(iq, rate, 100e6, (100.0, 100.001), STAMP)
