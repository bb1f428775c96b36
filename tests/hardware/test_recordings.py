"""Recordings: the kind is told by content, and a bad file is an item, not an exception."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures.gsm_text import read_gsm_text
from hardware.readings import CellReading, Item, NasReading, Unreadable
from hardware.recordings import RecordingKind, read_recording, recognise
from hardware.simulators.nas import attack_capture
from tests.hardware.captures.build import pcapng

FRAME = "860933 1329237:  49 06 1b be ad 64 f0 10 12 34 40 00 1e 00 65 48 79 00 00 a8 1f 2b 2b"
TRANSCRIPT = b'AT+QENG="servingcell"\r\n+QENG: "servingcell","SEARCH"\r\n\r\nOK\r\n'


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (attack_capture(), RecordingKind.PCAP),
        (pcapng([b"x"]), RecordingKind.PCAPNG),
        (FRAME.encode(), RecordingKind.GSM_L2_TEXT),
        (b"\n\n  " + FRAME.encode() + b"\r\nand so on", RecordingKind.GSM_L2_TEXT),
        (TRANSCRIPT, RecordingKind.QUECTEL_TRANSCRIPT),
        (b"", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"id,name\n1,x\n", None),
    ],
)
def test_the_kind_is_told_by_content(head: bytes, kind: RecordingKind | None) -> None:
    assert recognise(head) is kind


def test_a_name_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(attack_capture())
    items = list(read_recording(path))
    assert len(items) == 16
    for item in items:
        assert isinstance(item, NasReading)
        assert (item.stamp.file, item.stamp.sensor) == ("notes.txt", "notes")
    named = next(iter(read_recording(path, sensor="modem7")))
    assert isinstance(named, NasReading)
    assert named.stamp.sensor == "modem7"


def test_a_large_capture_reads_over_many_chunks(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(attack_capture(episodes=400, failures=10))
    assert sum(isinstance(item, NasReading) for item in read_recording(path)) == 7 + 400 * 21


def the_only(items: list[Item]) -> Unreadable:
    (item,) = items
    assert isinstance(item, Unreadable)
    return item


def test_a_file_that_cannot_be_read_is_one_item(tmp_path: Path) -> None:
    absent = the_only(list(read_recording(tmp_path / "absent.pcap")))
    assert (absent.file, absent.place, absent.is_damage) == ("absent.pcap", "offset 0", True)
    assert absent.reason == "cannot be read: No such file or directory"
    folder = the_only(list(read_recording(tmp_path)))
    assert folder.reason == "cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"\x7fELF", "no recording of a known kind (pcap, pcapng, ")],
)
def test_a_file_of_an_unknown_kind_is_one_item(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    item = the_only(list(read_recording(path)))
    assert item.reason.startswith(reason)
    assert item.raw == content


def test_a_name_that_is_no_utf8_can_still_be_told(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.pcap")
    path.write_bytes(attack_capture())
    item = next(iter(read_recording(path)))
    assert isinstance(item, NasReading)
    assert (item.stamp.file, item.stamp.sensor) == ("\\xff.pcap", "\\xff")


def test_gsm_frames_as_text_take_a_second_each(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_text(f"{FRAME}\n\n860940 1: zz\n{FRAME}", encoding="ascii")
    first, bad, last = read_recording(path)
    assert isinstance(first, CellReading)
    assert (first.cell_id, first.channel, first.stamp.place) == (0xBEAD, None, "line 1")
    assert (first.stamp.at_us, first.stamp.time_basis) == (0, "synthetic")
    assert isinstance(bad, Unreadable)
    assert (bad.place, bad.raw, bad.is_damage) == ("line 3", b"860940 1: zz", True)
    assert isinstance(last, CellReading)
    assert (last.stamp.at_us, last.stamp.place) == (2_000_000, "line 4")
    dated = list(read_recording(path, start_us=1_700_000_000_000_000))[2]
    assert isinstance(dated, CellReading)
    assert (dated.stamp.at_us, dated.stamp.time_basis) == (1_700_000_002_000_000, "recorded")


@given(st.one_of(st.binary(max_size=200), st.text("0123456789abcdef :\n", max_size=200)))
def test_any_text_gives_an_item_for_each_line(content: bytes | str) -> None:
    data = content.encode() if isinstance(content, str) else content
    items = list(read_gsm_text(data, "f", "s"))
    assert len(items) == sum(1 for line in data.split(b"\n") if line.strip())


def test_a_transcript_reaches_its_own_reader(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = b'+QENG: "neighbourcell intra","LTE",1300,1,-9,-95,-66,11,20,5,10,2,62\r\n'
    path.write_bytes(TRANSCRIPT + line)
    cells = [item for item in read_recording(path) if isinstance(item, CellReading)]
    assert [(cell.channel, cell.stamp.file) for cell in cells] == [(1300, "log")]


@pytest.mark.field_data
def test_recorded_files_are_recognised(field_data: Path) -> None:
    folder = field_data / "cellular"
    kinds = {
        "attack_nas/exp1_nas.pcap": RecordingKind.PCAP,
        "benign/att.gsmtap.pcap": RecordingKind.PCAP,
        "gsm_l2/grgsm_bcch_from_expected.pcap": RecordingKind.PCAP,
        "gsm_l2/grgsm_decode_test1_expected": RecordingKind.GSM_L2_TEXT,
        "modem_logs/quectel_ec2x_qeng_cn.txt": RecordingKind.QUECTEL_TRANSCRIPT,
        "modem_logs/quectel_5g_qscan_cn.txt": RecordingKind.QUECTEL_TRANSCRIPT,
        "mcc_codes.json": None,
        "fbs_sms/AD_Loan": None,
    }
    found = {name: recognise((folder / name).read_bytes()[:4096]) for name in kinds}
    assert found == kinds


@pytest.mark.field_data
def test_text_and_capture_of_the_same_frames_agree(field_data: Path) -> None:
    folder = field_data / "cellular" / "gsm_l2"
    text = list(read_recording(folder / "grgsm_decode_test1_expected"))
    capture = list(read_recording(folder / "grgsm_bcch_from_expected.pcap"))
    assert len(text) == len(capture) == 47

    def told(items: list[Item]) -> list[tuple[object, ...]]:
        return [
            (c.plmns, c.lac_tac, c.cell_id, c.cro_db, c.penalty_time, c.neighbours, c.raw)
            for c in items
            if isinstance(c, CellReading)
        ]

    assert told(text) == told(capture)


def test_a_byte_order_mark_hides_no_kind(tmp_path: Path) -> None:
    row = b"2021-05-01,12:00:00,88000000,90000000,500000,10,-50,-51,-30,-52\r\n"
    found: list[list[Item]] = []
    for number, mark in enumerate((b"", b"\xef\xbb\xbf")):
        path = tmp_path / str(number) / "sweep.csv"
        path.parent.mkdir()
        path.write_bytes(mark + row)
        found.append(list(read_recording(path)))
    (plain,), (marked,) = found
    assert not isinstance(plain, Unreadable)
    assert not isinstance(marked, Unreadable)
    assert plain.stamp == marked.stamp
    assert type(plain) is type(marked)
