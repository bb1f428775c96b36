"""The demo's customers: recorded portraits where there are some, else one public-domain picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from atm_face.engines.interface import FaceEngine, Finding, Template
from atm_face.faces import inspect
from atm_face.images import ImageError, load_image
from atm_face.liveness import CHANGE_MIN_DEG, TURN_MIN_DEG
from contract.files import replace_durably

PAN = "6216261000000000018"
"""A fixture of the field's test ranges (Luhn valid), never a live card."""

_FRONTAL_DEG = 8.0
_MAX_PICTURES = 250


@dataclass(frozen=True, slots=True)
class Person:
    """Files of one person: enrolment, at the machine, and with the head turned."""

    reference: Path
    face: Path
    left: Path
    right: Path
    is_one_size: bool = False
    """The face has one size in all of them, so that coming closer can be made of them."""


@dataclass(frozen=True, slots=True)
class _Seen:
    path: Path
    yaw_deg: float
    template: Template


def cast(engine: FaceEngine, faces: Path | None, folder: Path) -> tuple[list[Person], str]:
    """Return one or two people and a sentence about where they come from.

    Among recorded portraits people are taken who have one picture to enrol, one for the machine,
    and one with the head turned; its mirror image turns the other way.
    """
    found: list[Person] = []
    if faces is not None:
        for person in _recorded(engine, faces, folder):
            found.append(person)
            if len(found) == 2:
                return found, "customers: two people of the recorded portraits"
    return [_astronaut(folder)], (
        "customers: one public-domain portrait (astronaut) and altered copies; "
        "the stranger is a made-up template, because no second face is shipped"
    )


def _recorded(engine: FaceEngine, faces: Path, folder: Path) -> Iterator[Person]:
    looked_at = 0
    for person in sorted(p for p in faces.iterdir() if p.is_dir()):
        pictures = sorted(person.glob("*.jpg"))
        if len(pictures) < 3:
            continue
        looked_at += len(pictures)
        if looked_at > _MAX_PICTURES:
            return
        found = _person_of([s for s in (_see(engine, p) for p in pictures) if s], engine, folder)
        if found is not None:
            yield found


def _see(engine: FaceEngine, path: Path) -> _Seen | None:
    try:
        image = load_image(path)
    except ImageError:
        return None
    capture = inspect(engine, image)
    if capture.finding is not Finding.FACE or capture.face is None:
        return None
    return _Seen(path, capture.face.yaw_deg, engine.encode(image, capture.face))


def _person_of(seen: list[_Seen], engine: FaceEngine, folder: Path) -> Person | None:
    def alike(one: _Seen, other: _Seen) -> bool:
        return engine.compare(one.template, other.template) >= engine.default_threshold

    for face in (s for s in seen if abs(s.yaw_deg) < _FRONTAL_DEG):
        turned = _first(
            seen,
            lambda s, f=face: (
                alike(f, s)  # type: ignore[misc]
                and abs(s.yaw_deg) >= TURN_MIN_DEG
                and abs(s.yaw_deg) - abs(f.yaw_deg) >= CHANGE_MIN_DEG
            ),
        )
        if turned is None:
            continue
        reference = _first(
            seen,
            lambda s, f=face, t=turned: s not in (f, t) and alike(f, s),  # type: ignore[misc]
        )
        if reference is None:
            continue
        mirrored = folder / f"mirrored-{turned.path.name}"
        _mirror(turned.path, mirrored)
        sides = (turned.path, mirrored) if turned.yaw_deg > 0 else (mirrored, turned.path)
        return Person(reference.path, face.path, *sides)
    return None


def _first(seen: list[_Seen], fits: Callable[[_Seen], bool]) -> _Seen | None:
    return next((one for one in seen if fits(one)), None)


def _mirror(source: Path, target: Path) -> None:
    import cv2

    image = cv2.imread(str(source))
    assert image is not None
    ok, encoded = cv2.imencode(".png", cv2.flip(image, 1))
    assert ok
    replace_durably(target, encoded.tobytes())


def _astronaut(folder: Path) -> Person:
    from hardware.simulators import portraits

    pictures = {
        "reference": portraits.portrait(),
        "face": portraits.with_brightness(0.8),
        "left": portraits.turned(55),
        "right": portraits.turned(-55),
    }
    files = {name: folder / f"astronaut-{name}.png" for name in pictures}
    for name, picture in pictures.items():
        replace_durably(files[name], picture)
    return Person(**files, is_one_size=True)


def visits(people: list[Person]) -> list[str]:
    """Return the script of the customers (TOML): owner, stranger, and an unanswered challenge."""
    owner = people[0]
    lines = ["pause_s = 4.0"]
    lines += _visit("the owner withdraws", owner, reference=owner.reference)
    if len(people) > 1:
        lines += _visit("somebody else with the card", people[1], reference=owner.reference)
    else:
        lines += _visit("the card belongs to somebody else", owner, stranger="another person")
    lines += _visit(
        "the owner, but the camera cannot ask for a turn of the head",
        owner,
        reference=owner.reference,
        answers_challenge=False,
    )
    lines += _visit("the owner, wrong PIN", owner, reference=owner.reference, pin="wrong")
    return lines


def _visit(
    note: str,
    person: Person,
    *,
    reference: Path | None = None,
    stranger: str | None = None,
    answers_challenge: bool = True,
    pin: str = "ok",
) -> list[str]:
    lines = [
        "[[visits]]",
        f'note = "{note}"',
        f'pan = "{PAN}"',
        "amount_fen = 200000",
        f'pin = "{pin}"',
        f'faces = ["{person.face}"]',
        f'turn_left = ["{person.left}"]',
        f'turn_right = ["{person.right}"]',
        f"answers_challenge = {str(answers_challenge).lower()}",
        f"can_approach = {str(person.is_one_size).lower()}",
    ]
    if reference is not None:
        lines.append(f'reference = "{reference}"')
    if stranger is not None:
        lines.append(f'stranger = "{stranger}"')
    return lines
