"""Law 3, by bytes: what the face commands write and print holds no picture and no template."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from atm_face.day_visits import DayVisits
from atm_face.engines.interface import Template
from atm_face.engines.measures import unit_template
from atm_face.engines.sface import SFaceEngine
from hardware.simulators import portraits
from qianshao.__main__ import main


def traces(pictures: list[bytes], templates: list[Template]) -> Iterator[tuple[str, bytes]]:
    """What would give a picture or a template away."""
    for magic in (b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb"):
        yield "a picture's first bytes", magic
    for picture in pictures:
        yield "a part of a picture", picture[len(picture) // 2 :][:24]
    for template in templates:
        for value, after in zip(template.vector[:12], template.vector[1:13], strict=True):
            for form in ("<d", ">d"):
                yield "a number of a template", struct.pack(form, value)
            for form in ("<2f", ">2f"):
                yield "numbers of a template", struct.pack(form, value, after)
            yield "a number of a template as text", f"{value:.7f}".encode()


def test_no_command_writes_or_prints_a_picture_or_a_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    (images / "a").mkdir(parents=True)
    out.mkdir()
    pictures = [portraits.cropped(), portraits.portrait_jpeg(), portraits.nobody()]
    for number, raw in enumerate(pictures, start=1):
        (images / "a" / f"{number}.png").write_bytes(raw)
    templates: list[Template] = []

    def kept(*words: object) -> Template:
        templates.append(unit_template(*words))  # type: ignore[arg-type]
        return templates[-1]

    monkeypatch.setattr("atm_face.engines.sface.unit_template", kept)
    pairs, people = out / "pairs.tsv", out / "people.csv"
    pairs.write_text("fold\tsame\ta\tb\n1\t1\ta/1.png\ta/2.png\n1\t1\ta/1.png\ta/3.png\n")
    card = "ab" * 32
    people.write_text(
        "card,picture,purpose,given_on\n"
        + "".join(f"{card},a/{n}.png,withdrawal,2026-11-01\n" for n in (1, 2, 3))
    )
    places = ["--images", str(images)]
    store = ["--store", str(out / "templates"), "--key", str(out / "template.key")]
    runs = [
        ["face", "verify", str(images / "a/1.png"), str(images / "a/2.png"), "--json"],
        ["face", "evaluate", str(pairs), *places, "--report", str(out / "report.html")],
        ["face", "enrol", str(people), *places, *store],
        ["face", "camera", str(images / "a"), "--frames", "3", "--period", "0"],
    ]
    assert [main(run) for run in runs] == [0, 0, 3, 0]
    engine = SFaceEngine()
    visits = DayVisits(
        out / "day", b"k" * 32, engine, device="atm-1", tenant="demo", find_key=lambda kid: None
    )
    visits.add(templates[0], b"c" * 32, 1_767_322_800_000_000)
    visits.close()
    assert len(templates) >= 6
    printed = capfd.readouterr()
    written = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert set(written) == {
        "day", "pairs.tsv", "people.csv", "report.html", "template.key", "templates"
    }  # fmt: skip
    written |= {"stdout": printed.out.encode(), "stderr": printed.err.encode()}
    found = [
        (place, what)
        for what, trace in traces(pictures, templates)
        for place, raw in written.items()
        if trace in raw
    ]
    assert found == []
    # The search itself finds what is there.
    leaked = struct.pack(">d", templates[0].vector[3])
    assert any(trace == leaked for _, trace in traces(pictures, templates))
