"""``qianshao face enrol-camera``: one person's reference, taken at the branch from a camera.

The frames are looked at and dropped: what is kept is one template of several frames, sealed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from qianshao.face_camera import add_source_arguments, open_camera
from qianshao.face_enrol import add_key_arguments, add_store_arguments, card_hmac, device_key

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine, Template
    from hardware.cameras.interface import Camera

SCHEMA = "qianshao.face_enrol_camera/1"
FRAMES = 3
PATIENCE_S = 60.0


class NotTakenError(Exception):
    """No reference came of it; the text is for whoever sits at the desk."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A reference, and how many frames it took."""

    template: Template
    used: int
    looked_at: int


def add_enrol_camera_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face enrol-camera``."""
    add_source_arguments(parser)
    parser.add_argument(
        "--card", type=_card, required=True, metavar="HMAC", help="64 hexadecimal digits"
    )
    parser.add_argument(
        "--purpose", type=_purpose, required=True, help="purpose of the person's separate consent"
    )
    parser.add_argument(
        "--given-on", type=_day, metavar="DATE", help="date of the consent (default: today)"
    )
    add_store_arguments(parser)
    add_key_arguments(parser)
    parser.add_argument(
        "--frames", type=int, choices=range(1, 6), default=FRAMES, help="good frames of a reference"
    )
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_S, metavar="S", help="give up after so long"
    )
    parser.add_argument("--again", action="store_true", help="also a card that is enrolled")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _card(text: str) -> bytes:
    try:
        return card_hmac(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _purpose(text: str) -> str:
    if not 0 < len(text.strip()) <= 200:
        raise argparse.ArgumentTypeError("no face without the purpose of a consent")
    return text.strip()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not YYYY-MM-DD") from None


def main_enrol_camera(args: argparse.Namespace) -> int:
    """Run ``face enrol-camera``.

    3: no reference came of it. 2: the command line names what is not there. 1: camera or engine.
    """
    from atm_face.device_key import DeviceKeyError
    from atm_face.engines.interface import EngineError
    from atm_face.engines.table import open_engine
    from atm_face.templates import Consent, TemplateStore
    from hardware.cameras.interface import CameraError

    def failed(error: Exception, status: int) -> int:
        print(f"qianshao face enrol-camera: {error}", file=sys.stderr)
        return status

    try:
        key = device_key(args)
        camera, name = open_camera(args)
        engine = open_engine(args.engine, args.models)
        store = TemplateStore(args.store, key)
    except (ValueError, DeviceKeyError) as error:
        return failed(error, 2)
    except (CameraError, EngineError) as error:
        return failed(error, 1)
    try:
        if args.card in store.cards() and not args.again:
            return failed(NotTakenError("this card is enrolled: --again takes another"), 3)
        say = _quiet if args.json else _aloud
        say(f"camera {name}; {args.frames} good frames are taken, no picture is kept")
        taken = take(
            engine, camera, args.frames, patience_s=args.patience, period_s=args.period, say=say
        )
        day = args.given_on or date.today()  # noqa: DTZ011 - the day on the desk's calendar
        store.enrol(args.card, taken.template, Consent(purpose=args.purpose, given_on=day))
        stored = store.filing().stored
    except NotTakenError as error:
        return failed(error, 3)
    except (CameraError, EngineError) as error:
        return failed(error, 1)
    finally:
        store.close()
    result = {"frames": taken.used, "looked_at": taken.looked_at, "stored": stored}
    if args.json:
        print(json.dumps({"schema": SCHEMA, **result}))
    else:
        print(f"enrolled from {taken.used} of {taken.looked_at} frames; {stored} faces stored")
    return 0


def take(
    engine: FaceEngine,
    camera: Camera,
    frames: int,
    *,
    patience_s: float,
    period_s: float,
    say: Callable[[str], None],
) -> Taken:
    """Look until there are enough good frames of one person; raises NotTakenError, CameraError."""
    from atm_face.engines.interface import Template
    from atm_face.faces import template_of
    from atm_face.fusion import FusionError, fused
    from atm_face.images import ImageError, decode_image
    from atm_face.screens import PROMPTS

    found: list[Template] = []
    looked_at, until, told = 0, time.monotonic() + patience_s, "nobody was there"
    while time.monotonic() < until:
        frame = camera.capture(bytes(16))
        looked_at += 1
        try:
            seen = template_of(engine, decode_image(frame.encoded, frame.camera))
        except ImageError as error:
            told = f"the camera's picture cannot be read: {error.reason}"
        else:
            if isinstance(seen, Template):
                found.append(seen)
                try:
                    template = fused(engine, found)
                except FusionError:
                    found, told = [], "another person came before the camera: from the beginning"
                else:
                    told = f"{len(found)} of {frames}"
                    if len(found) == frames:
                        say(told)
                        return Taken(template, frames, looked_at)
            elif seen.prompt is not None:
                told = f"{PROMPTS[seen.prompt].zh} {PROMPTS[seen.prompt].en}"
            else:
                told = seen.finding.value.replace("_", " ")
        say(told)
        time.sleep(max(0.0, period_s))
    raise NotTakenError(
        f"{len(found)} of {frames} good frames within {patience_s:.0f} s; last: {told}"
    )


def _aloud(words: str) -> None:
    print(words, flush=True)


def _quiet(words: str) -> None:
    """Say nothing: the result is JSON."""
