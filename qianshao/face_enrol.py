"""``qianshao face enrol``: reference templates in bulk from portraits that the bank holds."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from qianshao.face_pictures import show_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from atm_face.engines.interface import FaceEngine, Template
    from atm_face.templates import TemplateStore

SCHEMA = "qianshao.face_enrol/1"
FIELDS = ("card", "picture", "purpose", "given_on")
CARD_DIGITS = 64


class ListError(Exception):
    """A list that cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One card: its pictures with their lines, and the consent."""

    card: bytes
    pictures: tuple[tuple[int, str], ...]
    purpose: str
    given_on: date


@dataclass(slots=True)
class Report:
    """What came of every line."""

    enrolled: int = 0
    already: int = 0
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    """(line, kind, words); kinds: bad_line, unreadable, no_face, several_faces, poor_quality,
    other_person, duplicate."""

    def note(self, line: int, kind: str, words: str) -> None:
        """Keep one problem."""
        self.problems.append((line, kind, words))

    def as_json(self) -> dict[str, Any]:
        """Documented fields."""
        kinds = sorted({kind for _, kind, _ in self.problems})
        return {
            "schema": SCHEMA,
            "enrolled": self.enrolled,
            "already": self.already,
            "counts": {kind: sum(k == kind for _, k, _ in self.problems) for kind in kinds},
            "problems": [
                {"line": line, "kind": kind, "words": words} for line, kind, words in self.problems
            ],
        }


def add_enrol_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face enrol``."""
    parser.add_argument(
        "list", type=Path, metavar="CSV", help=f"{','.join(FIELDS)}; several lines a card: frames"
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="their folder")
    add_store_arguments(parser)
    add_key_arguments(parser)
    parser.add_argument("--again", action="store_true", help="also cards that are enrolled")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where templates are kept, and the engine that makes them."""
    parser.add_argument("--store", type=Path, required=True, metavar="FILE", help="template store")
    parser.add_argument("--engine", choices=("sface", "onnx"), default="sface", help="engine")
    parser.add_argument("--models", type=Path, help="folder of the weights; for onnx the card")


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the device's template key is."""
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="device key, made where absent"
    )
    parser.add_argument("--token", metavar="LABEL", help="seal the key in this PKCS #11 token")
    parser.add_argument("--library", type=Path, metavar="SO", help="the token's library")
    parser.add_argument("--pin-file", type=Path, metavar="FILE", help="the token's PIN, mode 0600")


def read_list(path: Path, report: Report) -> list[Entry]:
    """Read the list; bad lines go into the report, ListError only where nothing can be read."""
    try:
        text = path.read_text("utf-8-sig")
        rows = csv.DictReader(text.splitlines())
        header = rows.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ListError(f"{path}: {error}") from error
    if missing := [name for name in FIELDS if name not in header]:
        raise ListError(f"{path} line 1: no column {', '.join(missing)}")
    found: dict[bytes, Entry] = {}
    for line, card, entry in _lines(rows, report):
        known = found.get(card)
        if known is None:
            found[card] = entry
        elif (known.purpose, known.given_on) != (entry.purpose, entry.given_on):
            report.note(line, "bad_line", "another consent than on the card's first line")
        else:
            pictures = known.pictures + entry.pictures
            found[card] = Entry(card, pictures, known.purpose, known.given_on)
    return list(found.values())


def _lines(rows: csv.DictReader[str], report: Report) -> Iterator[tuple[int, bytes, Entry]]:
    try:
        for row in rows:
            line = rows.line_num
            try:
                card, entry = _entry(line, row)
            except ValueError as error:
                report.note(line, "bad_line", str(error))
                continue
            yield line, card, entry
    except csv.Error as error:
        report.note(rows.line_num, "bad_line", f"not CSV: {error}; nothing after it was read")


def _entry(line: int, row: dict[str, str | None]) -> tuple[bytes, Entry]:
    card = card_hmac(row["card"] or "")
    picture = (row["picture"] or "").strip()
    if not picture or PurePosixPath(picture).is_absolute() or ".." in picture.split("/"):
        raise ValueError("picture is empty or outside --images")
    purpose = (row["purpose"] or "").strip()
    if not 0 < len(purpose) <= 200:
        raise ValueError("purpose of the consent is missing: no face without one")
    try:
        given_on = date.fromisoformat((row["given_on"] or "").strip())
    except ValueError:
        raise ValueError("given_on, the date of the consent, is not YYYY-MM-DD") from None
    return card, Entry(card, ((line, picture),), purpose, given_on)


def card_hmac(text: str) -> bytes:
    """A card as templates know it; ValueError for anything else, which is not repeated."""
    word = text.strip().lower()
    if len(word) != CARD_DIGITS or set(word) - set("0123456789abcdef"):
        raise ValueError("card is not 64 hexadecimal digits: the HMAC, never the number")
    return bytes.fromhex(word)


class Duplicates:
    """Finds a face that another card of this run has already."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._vectors: list[NDArray[np.float32]] = []
        self._lines: list[int] = []

    def of(self, template: Template, line: int) -> int | None:
        """Line of the most similar face, if it counts as the same person; then remember this."""
        import numpy as np

        vector = np.array(template.vector, dtype=np.float32)
        found = None
        if self._vectors:
            likeness = np.stack(self._vectors) @ vector
            best = int(np.argmax(likeness))
            found = self._lines[best] if likeness[best] >= self._threshold else None
        self._vectors.append(vector)
        self._lines.append(line)
        return found


def enrol_all(
    engine: FaceEngine,
    store: TemplateStore,
    entries: list[Entry],
    folder: Path,
    report: Report,
    *,
    is_again: bool = False,
) -> None:
    """Enrol every card; a run that was stopped goes on where it was, card by card."""
    from atm_face.fusion import FRAMES_MAX, FusionError, fused
    from atm_face.templates import Consent

    known, duplicates = store.cards(), Duplicates(engine.default_threshold)
    for number, entry in enumerate(entries, start=1):
        show_progress("enrol", number, len(entries))
        if entry.card in known and not is_again:
            report.already += 1
            continue
        found = [
            (line, template)
            for line, picture in entry.pictures[:FRAMES_MAX]
            if (template := _template(engine, folder, line, picture, report)) is not None
        ]
        for line, _ in entry.pictures[FRAMES_MAX:]:
            report.note(line, "bad_line", f"more than {FRAMES_MAX} pictures of a card")
        if not found:
            continue
        try:
            template = fused(engine, [template for _, template in found])
        except FusionError as error:
            report.note(found[error.frame][0], "other_person", "not the person of the first line")
            continue
        if (like := duplicates.of(template, found[0][0])) is not None:
            report.note(found[0][0], "duplicate", f"the face of line {like} has another card")
        store.enrol(entry.card, template, Consent(purpose=entry.purpose, given_on=entry.given_on))
        report.enrolled += 1


def _template(
    engine: FaceEngine, folder: Path, line: int, picture: str, report: Report
) -> Template | None:
    from atm_face.engines.interface import Template
    from atm_face.faces import template_of
    from atm_face.images import ImageError, load_image

    try:
        found = template_of(engine, load_image(folder / picture))
    except ImageError as error:
        report.note(line, "unreadable", f"{picture}: {error.reason}")
        return None
    if isinstance(found, Template):
        return found
    words = "" if found.prompt is None else f" ({found.prompt.value})"
    report.note(line, found.finding.value, f"{picture}{words}")
    return None


def device_key(args: argparse.Namespace) -> bytes:
    """The device's template key, from its file or through the token that seals it."""
    from atm_face.device_key import (
        DeviceKeyError,
        TokenSlot,
        file_key,
        require_key_beside,
        token_key,
    )
    from contract.keyfiles import KeyFileError, check_private, read_file

    path: Path = args.key
    require_key_beside(args.store, path)
    if args.token is None:
        return file_key(path)
    if args.library is None or args.pin_file is None:
        raise DeviceKeyError("--token needs --library and --pin-file")
    try:
        check_private(args.pin_file)
        pin = read_file(args.pin_file).decode("utf-8").strip()
    except (KeyFileError, UnicodeDecodeError) as error:
        raise DeviceKeyError(f"--pin-file: {error}") from error
    return token_key(path, TokenSlot(args.library, args.token, pin))


def main_enrol(args: argparse.Namespace) -> int:
    """Run ``face enrol``; 3 if a line could not be enrolled, 2 for the list, 1 for the rest."""
    from atm_face.device_key import DeviceKeyError
    from atm_face.engines.interface import EngineError
    from atm_face.engines.table import open_engine
    from atm_face.templates import TemplateStore

    report = Report()
    try:
        entries = read_list(args.list, report)
        engine = open_engine(args.engine, args.models)
        store = TemplateStore(args.store, device_key(args))
    except (ListError, DeviceKeyError, EngineError) as error:
        print(f"qianshao face enrol: {error}", file=sys.stderr)
        return 2 if isinstance(error, ListError | DeviceKeyError) else 1
    try:
        enrol_all(engine, store, entries, args.images, report, is_again=args.again)
        filing = store.filing()
    except EngineError as error:
        print(f"qianshao face enrol: {error}", file=sys.stderr)
        return 1
    finally:
        store.close()
    if args.json:
        print(json.dumps(report.as_json() | {"stored": filing.stored, "is_due": filing.is_due}))
    else:
        print(f"{report.enrolled} enrolled, {report.already} were; {filing.stored} faces stored")
        if filing.is_due:
            print(f"{filing.limit} faces or more: file within 30 working days")
    for line, kind, words in report.problems:
        print(f"{args.list} line {line}: {kind}: {words}", file=sys.stderr)
    return 3 if any(kind != "duplicate" for _, kind, _ in report.problems) else 0
