"""Audio of a receiver: programmes from WAV or bare samples, hiss and silence, clips."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.interface import Arrival
from hardware.readings import CarrierReading, Item, Unreadable
from hardware.simulators.programme import hiss, syllables
from hardware.spectrum.pcm import PcmReader, wav_bytes
from rf_watch.broadcast.identity import correlation

AT = Arrival(at_us=5, time_basis="live", received_us=5)


def reader(rate_hz: int = 16_000) -> PcmReader:
    return PcmReader(sensor="audio0", file="f", mhz=91.8, rate_hz=rate_hz)


def fed(r: PcmReader, data: bytes, size: int = 5000) -> list[Item]:
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    return [item for chunk in chunks for item in r.feed(chunk, AT)]


def carriers(items: list[Item]) -> list[CarrierReading]:
    return [item for item in items if isinstance(item, CarrierReading)]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_programme_gives_features_each_10_s_and_a_clip_of_30_s(rate_hz: int) -> None:
    got = fed(reader(rate_hz), syllables(1, 31, rate_hz).tobytes())
    first, second, third = carriers(got)
    assert len(got) == 3
    assert (first.mhz, first.level_dbm, first.stamp.at_us) == (91.8, None, 5)
    assert first.audio is not None
    assert second.audio is not None
    assert abs(correlation(first.audio, second.audio)) < 0.3
    assert (first.clip, second.clip) == (None, None)
    assert third.clip is not None
    assert len(third.clip) < 2 * 1024 * 1024
    with wave.open(io.BytesIO(third.clip)) as clip:
        assert clip.getnframes() / clip.getframerate() == pytest.approx(30, abs=0.01)


def test_two_receptions_of_one_programme_correlate_whatever_their_form() -> None:
    samples = syllables(7, 10)
    (bare,) = carriers(fed(reader(), samples.tobytes()))
    (wav,) = carriers(fed(reader(48_000), wav_bytes(samples // 4, 16_000), size=7))
    assert bare.audio is not None
    assert wav.audio is not None
    assert correlation(bare.audio, wav.audio) > 0.9


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(hiss(1, 10), "hiss of an empty channel"), (np.zeros(160_000, "<i2"), "silence")],
)
def test_an_empty_channel_is_no_programme_and_breaks_the_clip(
    samples: np.ndarray, reason: str
) -> None:
    r = reader()
    assert len(carriers(fed(r, syllables(1, 20).tobytes()))) == 2
    (item,) = fed(r, samples.tobytes())
    assert isinstance(item, Unreadable)
    assert (item.reason, item.is_damage) == (reason, False)
    (after,) = carriers(fed(r, syllables(2, 10).tobytes()))
    assert after.clip is None


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (b"\x01\x00\x03\x00\x80\x3e\0\0\0\0\0\0\x06\x00\x10\x00", "3 channels, 1 or 2 are read"),
        (b"\x01\x00\x01\x00\x80\x3e\0\0\0\0\0\0\x01\x00\x08\x00", "format 1 of 8 bits"),
        (b"\x01\x00\x01\x00\x40\x1f\0\0\0\0\0\0\x02\x00\x10\x00", "8000 samples a second"),
    ],
)
def test_another_form_is_one_error_and_a_new_stream_is_read(form: bytes, reason: str) -> None:
    r = reader()
    head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + form + b"data\xff\xff\xff\xff"
    (told,) = fed(r, head + bytes(400_000))
    assert isinstance(told, Unreadable)
    assert told.reason.startswith(reason)
    assert told.is_damage
    r.close()
    assert len(carriers(fed(r, syllables(1, 10).tobytes()))) == 1


def test_a_header_without_samples_is_one_error() -> None:
    (told,) = fed(reader(), b"RIFF\0\0\0\0WAVEjunk\x00\x00\x01\x00" + bytes(5000))
    assert isinstance(told, Unreadable)
    assert told.reason == "no samples in 4096 bytes"


@given(
    st.sampled_from([b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"]),
    st.binary(max_size=400),
    st.integers(1, 50),
)
def test_any_bytes_never_raise(head: bytes, noise: bytes, size: int) -> None:
    r = reader()
    fed(r, head + noise, size)
    r.close()
