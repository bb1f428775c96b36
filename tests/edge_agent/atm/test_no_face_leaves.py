"""Law 3, by bytes: whatever a visit writes or prints holds no picture and no template."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from atm_face.engines.interface import Face, Template
from atm_face.engines.sface import SFaceEngine
from atm_face.images import Image
from edge_agent.outbox import Outbox
from tests.edge_agent.atm import test_counter
from tests.edge_agent.atm.test_counter import VISIT, serve

folder, outbox = test_counter.folder, test_counter.outbox


def traces(pictures: list[bytes], templates: list[Template]) -> Iterator[tuple[str, bytes]]:
    """What would give a picture or a template away."""
    yield "a PNG", b"\x89PNG\r\n"
    yield "a JPEG", b"\xff\xd8\xff\xe0"
    for picture in pictures:
        yield "a part of a picture", picture[len(picture) // 2 :][:24]
    for template in templates:
        for value, after in zip(template.vector[:12], template.vector[1:13], strict=True):
            # Eight bytes: four would be met by chance in signatures and hashes.
            for form in ("<2f", ">2f"):
                yield "numbers of a template", struct.pack(form, value, after)
            for form in ("<d", ">d"):
                yield "a number of a template", struct.pack(form, value)
            yield "a number of a template as text", f"{value:.6f}"[:8].encode()


def test_no_picture_and_no_template_is_written_or_printed(
    folder: Path,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = {path for path in folder.rglob("*") if path.is_file()}
    pictures = [path.read_bytes() for path in before if path.suffix == ".png"]
    templates: list[Template] = []
    encode = SFaceEngine.encode

    def kept(self: SFaceEngine, image: Image, face: Face) -> Template:
        templates.append(encode(self, image, face))
        return templates[-1]

    glance = SFaceEngine.glance

    def glanced(self: SFaceEngine, image: Image, face: Face) -> Template:
        templates.append(glance(self, image, face))
        return templates[-1]

    monkeypatch.setattr(SFaceEngine, "encode", kept)
    monkeypatch.setattr(SFaceEngine, "glance", glanced)
    serve(folder, outbox, VISIT, count=2)
    assert len(templates) >= 3
    written = {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".png", ".key"}
    }
    assert any("outbox" in name for name in written)
    printed = capfd.readouterr()
    written["stdout"], written["stderr"] = printed.out.encode(), printed.err.encode()
    found = [
        (place, what)
        for what, trace in traces(pictures, templates)
        for place, raw in written.items()
        if trace in raw
    ]
    assert found == []
    # The search itself finds what is there.
    leaked = struct.pack("<2f", *templates[0].vector[3:5])
    assert any(trace in b"..." + leaked for _, trace in traces(pictures, templates))
