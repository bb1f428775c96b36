"""Every dialect over good, split, doubled, echoed and ruined streams; all cells are invented."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardware.modems import DIALECTS, family_of, read_log
from hardware.modems.lines import FAMILY_OF
from hardware.readings import CellReading, Rat, Unreadable
from tests.hardware.modems.streams import AT_NOON, GOOD_LINES, cells, damages, heard

FAMILIES = sorted(DIALECTS)
LINES = [(family, line) for family, lines in sorted(GOOD_LINES.items()) for line in lines]
OK = b"\r\n\r\nOK\r\n"


def one(family: str, line: bytes) -> CellReading:
    [cell] = cells(heard(family, line + b"\r\n"))
    return cell


@pytest.mark.parametrize(("family", "line"), LINES)
def test_every_form_is_one_cell_and_no_complaint(family: str, line: bytes) -> None:
    items = heard(family, b"\r\n" + line + OK)
    assert len(items) == 1, items
    assert cells(items)[0].raw == line
    assert cells(items)[0].channel is not None or line.startswith(b'+CENG: 0,"460')


def test_a_dialect_tells_the_forms_it_has_seen() -> None:
    modem = DIALECTS["simcom"](sensor="modem0", file="ttyUSB2")
    for line in GOOD_LINES["simcom"]:
        modem.feed(line + b"\r\n", AT_NOON)
    assert sum(modem.forms.values()) == len(GOOD_LINES["simcom"])
    assert "+CENG neighbour of 7" in modem.forms
    assert "+CPSI NR5G_SA" in modem.forms


def told(cell: CellReading) -> tuple[object, ...]:
    return (
        cell.rat,
        cell.is_serving,
        cell.plmns,
        cell.channel,
        cell.lac_tac,
        cell.cell_id,
        cell.physical_id,
        cell.level_dbm,
    )


@pytest.mark.parametrize(
    ("family", "index", "wanted"),
    [
        ("simcom", 0, (Rat.GSM, True, ("460-00",), 62, 0x7B02, 0x2E95, 21, -69)),
        ("simcom", 1, (Rat.GSM, False, ("460-00",), 23, 0x52A1, 0x3C08, 44, -78)),
        ("simcom", 2, (Rat.GSM, False, ("460-00",), 531, 0x52A1, None, 9, -85)),
        ("simcom", 3, (Rat.GSM, True, ("460-00",), None, 0x52A1, 0x3C08, 44, -78)),
        ("simcom", 4, (Rat.LTE, True, ("460-01",), 1650, 1201, 161878283, 217, -92)),
        ("simcom", 5, (Rat.LTE, True, ("460-01",), 1650, 0x52A1, 161878283, 217, -92.1)),
        ("simcom", 7, (Rat.WCDMA, True, ("460-01",), 4436, 0x52A1, 14302219, 214, -83)),
        ("simcom", 8, (Rat.NR, True, ("460-11",), 633984, 0x690E0F, 28186980355, 441, -85)),
        ("simcom", 9, (Rat.NR, True, (), 648768, None, None, 920, -96)),
        ("simcom", 12, (Rat.GSM, False, ("460-00",), 23, 0x52A1, 0x3C08, 44, -78)),
        ("telit", 0, (Rat.GSM, True, (), 57, 0x52A1, 0x3C07, 0o25, -68)),
        ("telit", 3, (Rat.LTE, True, ("460-01",), 1650, 0x52A1, 0x9A3150B, 217, -92)),
        ("telit", 4, (Rat.GSM, False, ("460-00",), 57, 21153, 15367, 21, -68)),
        ("telit", 6, (Rat.GSM, False, (), 62, None, None, None, -90)),
        ("telit", 9, (Rat.WCDMA, False, ("460-01",), 10713, 21153, 123456, 16, -90)),
        ("ublox", 0, (Rat.GSM, True, ("460-00",), 57, 0x52A1, 0x3C07, 0x15, -68)),
        ("ublox", 2, (Rat.WCDMA, False, ("460-01",), 10713, 0x52A1, 0x1EB578B, None, None)),
    ],
)
def test_a_line_says_what_its_columns_mean(
    family: str, index: int, wanted: tuple[object, ...]
) -> None:
    assert told(one(family, GOOD_LINES[family][index])) == wanted


def test_a_survey_with_system_information_gives_the_reselection_values() -> None:
    cell = one("telit", GOOD_LINES["telit"][4])
    assert (cell.rxlev_access_min, cell.cro_db) == (8, 126)  # coded 63, in 2 dB steps
    assert (cell.penalty_time, cell.t3212_decihours) == (31, 10)
    assert one("telit", GOOD_LINES["telit"][7]).cro_db == 60


def test_a_survey_in_hexadecimal_is_told_by_its_setting_or_by_a_letter() -> None:
    record = b"57,25,-68,0.00,460,00,5201,3007,0,0\r\n"
    letter = b"23,54,-78,0.00,460,00,52A1,3C08,0,0\r\n"
    assert cells(heard("telit", record))[0].lac_tac == 5201
    assert cells(heard("telit", b"AT#CSURVF=1\r\r\nOK\r\n" + record))[0].lac_tac == 0x5201
    assert [c.cell_id for c in cells(heard("telit", letter + record))] == [0x3C08, 0x3007]
    fresh = heard("telit", letter + b"Network survey started ...\r\n" + record)
    assert cells(fresh)[1].cell_id == 3007


def test_simcom_pcs_neighbours_lose_their_offset() -> None:
    assert one("simcom", b'+CENG: 1,"1688,16,25,a53f,310,260,0113"').channel == 664
    [bad] = damages(heard("simcom", b'+CENG: 1,"1400,16,25,a53f,310,260,0113"\r\n'))
    assert bad.reason == "arfcn 1400 is outside 0..1023"


@pytest.mark.parametrize(
    ("family", "line"),
    [
        ("simcom", b"+CENG: 1,1"),
        ("simcom", b"+CENG: 1,1,2,LTE CAT-M1"),
        ("simcom", b'+CENG: 6,"000,00,0,0,00,00"'),
        ("simcom", b'+CENG: 1,",,0000,0000,00,00"'),
        ("simcom", b"+CPSI: NO SERVICE,Online"),
        ("simcom", b"+CPSI: NOT IN EN-DC CONNECTED MODE"),
        ("telit", b"#MONI: Cell BSIC LAC CellId ARFCN Power C1 C2 TA RxQual PLMN"),
        ("telit", b"Network survey ended"),
        ("telit", b"Network survey ended (Carrier: 12 BCCh: 3)"),
    ],
)
def test_a_state_without_a_cell_is_nothing(family: str, line: bytes) -> None:
    assert heard(family, line + b"\r\n") == []


@pytest.mark.parametrize(("family", "line"), LINES)
def test_a_line_torn_at_its_end_is_one_error_or_one_shorter_truth(family: str, line: bytes) -> None:
    """A tear inside the last number cannot be seen; any other is refused or says less."""
    whole = one(family, line)
    for end in range(12, len(line)):
        items = heard(family, line[:end] + b"\r\n" + line + b"\r\n")
        assert len(damages(items)) <= 1
        assert told(cells(items)[-1]) == told(whole)
        for cell in cells(items)[:-1]:
            # what is said besides must not contradict: identity, channel and PLMN stand as a whole
            assert cell.plmns in {whole.plmns, ()}
            assert cell.cell_id in {whole.cell_id, None}


@pytest.mark.parametrize("family", FAMILIES)
def test_mojibake_is_one_error_and_the_next_line_is_read(family: str) -> None:
    line = GOOD_LINES[family][0]
    ruined = bytes(b | 0x80 if i % 3 == 0 else b for i, b in enumerate(line))
    items = heard(family, ruined + b"\r\n" + line + b"\r\n")
    assert (len(damages(items)), len(cells(items))) == (1, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_ten_megabytes_without_an_end_are_one_error(family: str) -> None:
    line = GOOD_LINES[family][0]
    chunk = line[:-1] * 40
    count = 10 * 1024 * 1024 // len(chunk)
    started = process_time()
    items = heard(family, *[chunk] * count, b"\r\n" + line + b"\r\n")
    assert process_time() - started < 60  # a reader that looks at all again needs hours
    assert (len(damages(items)), len(cells(items))) == (1, 1)
    assert len(damages(items)[0].raw) <= 512


@pytest.mark.parametrize(("family", "line"), LINES)
def test_doubled_and_echoed_lines_cost_at_most_one_error_each(family: str, line: bytes) -> None:
    items = heard(family, b"AT+X=1\r" + line + b"\r\r\n" + line + line + b"\r\n" + line + b"\r\n")
    assert len(damages(items)) <= 1
    assert len(cells(items)) >= 2


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_of_another_maker_is_named(family: str) -> None:
    for name, owner in FAMILY_OF.items():
        if owner != family:
            [item] = damages(heard(family, name + b": 1,2\r\n"))
            assert item.reason == (
                f"{name.decode()} is an answer of a {owner} modem, not of {family}"
            )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_round_asks_all_first_and_later_what_gave_cells(family: str) -> None:
    modem = DIALECTS[family](sensor="modem0", file="ttyUSB2")
    first = modem.poll()
    assert first[-len(modem.round) :] == modem.round
    assert modem.poll() == modem.round
    modem.feed(GOOD_LINES[family][0] + b"\r\n", AT_NOON)
    useful = modem.poll()
    assert set(useful) <= set(modem.round)
    assert useful
    modem.close()
    assert modem.poll() == first  # a new stream is set up anew
    assert all(command.endswith(b"\r") for command in first)
    assert all(scan.timeout_s > 60 for scan in modem.survey())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_log_is_known_by_its_lines(family: str) -> None:
    for good in GOOD_LINES[family]:
        is_bare = family == "telit" and not good.startswith(b"#")
        line = b"Network survey started ...\r\n" + good if is_bare else good
        assert family_of(line + b"\r\n") == family
        assert len(list(read_log(family, line, "log.txt", "modem0"))) == 1


@pytest.mark.parametrize("head", [b"", b"hello\r\n", b"OK\r\n", b"#MONI\0: 1", b"1,2\r\n"])
def test_other_text_is_no_log(head: bytes) -> None:
    assert family_of(head) is None


NOISE = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"\r\n", b"\r", b"OK\r\n", b"ERROR\r\n", b"RING\r\n", b"+CREG: 1\r\n", b'"']),
    st.sampled_from([line for _, line in LINES]),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FAMILIES), st.lists(NOISE, max_size=12), st.integers(1, 40))
@example("telit", [b"57,,,,,,,,0,0"], 3)
def test_any_bytes_in_any_portions_give_the_same_items(
    family: str, parts: list[bytes], size: int
) -> None:
    stream = b"".join(parts)
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    items = heard(family, *chunks)
    assert items == heard(family, stream)
    lines = [p for p in stream.replace(b"\n", b"\r").split(b"\r") if p.strip()]
    assert len(items) <= len(lines)
    for item in items:
        if isinstance(item, Unreadable):
            assert item.place.startswith("line ")
            assert item.reason


def _mutations() -> st.SearchStrategy[tuple[str, bytes]]:
    """A good line with one field replaced, left out or doubled."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> tuple[str, bytes]:
        family, line = draw(st.sampled_from(LINES))
        fields = line.split(b",")
        index = draw(st.integers(0, len(fields) - 1))
        junk = draw(
            st.sampled_from([b"", b"-", b"-32768", b"9" * 12, b"\xff", b"0x", b"FFFF", b" "])
        )
        how = draw(st.sampled_from(["replace", "drop", "double"]))
        fields[index : index + 1] = {
            "replace": [junk],
            "drop": [],
            "double": [fields[index]] * 2,
        }[how]
        return family, b",".join(fields)

    return draw_one()


@settings(max_examples=150, deadline=None)
@given(_mutations())
def test_a_line_with_one_ruined_field_is_read_within_ranges_or_refused(
    case: tuple[str, bytes],
) -> None:
    family, line = case
    for cell in cells(heard(family, line + b"\r\n")):
        assert cell.level_dbm is None or -170 <= cell.level_dbm < 0
        assert cell.lac_tac is None or 0 <= cell.lac_tac <= 0xFFFFFF
        assert cell.cell_id is None or 0 <= cell.cell_id <= 0xFFFFFFFFF
        assert cell.rat is not Rat.GSM or cell.channel is None or cell.channel <= 1023
        assert cell.cro_db is None or 0 <= cell.cro_db <= 126
