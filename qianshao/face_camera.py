"""``qianshao face camera``: what the engine sees, live, for whoever installs a camera.

A picture is shown nowhere: the terminal gets a box drawn with characters, numbers and the prompt.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm_face.faces import Capture
    from hardware.cameras.interface import Camera, Frame

SCHEMA = "qianshao.face_camera/1"
COLUMNS, ROWS = 48, 16
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")


def add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face camera``."""
    add_source_arguments(parser)
    parser.add_argument("--frames", type=int, default=0, help="stop after so many (default: never)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of the weights")
    parser.add_argument("--json", action="store_true", help="print one JSON object a frame")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which camera it is."""
    parser.add_argument(
        "source", type=Path, metavar="CAMERA", help="/dev/videoN, or pictures: a file or folder"
    )
    parser.add_argument("--period", type=float, default=0.5, metavar="S", help="seconds a frame")
    parser.add_argument("--pin", metavar="ID", help="refuse every other camera than this")


def main_camera(args: argparse.Namespace) -> int:
    """Run ``face camera``; 2 for what is no camera, 1 for one that fails or is not the pinned."""
    from atm_face.engines.interface import EngineError
    from atm_face.engines.sface import SFaceEngine
    from hardware.cameras.interface import CameraError

    try:
        camera, name = open_camera(args)
        engine = SFaceEngine(args.models)
    except (CameraError, EngineError) as error:
        print(f"qianshao face camera: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"qianshao face camera: {error}", file=sys.stderr)
        return 2
    if not args.json:
        print(f"camera {name}; Ctrl-C ends")
    count = 0
    try:
        while not args.frames or count < args.frames:
            count += 1
            _show(engine, camera.capture(bytes(16)), count, is_json=args.json)
            if count != args.frames:
                time.sleep(max(0.0, args.period))
    except KeyboardInterrupt:
        print()
    except CameraError as error:
        print(f"qianshao face camera: {error}", file=sys.stderr)
        return 1
    return 0


def open_camera(args: argparse.Namespace) -> tuple[Camera, str]:
    """A real camera, or a simulated one that gives the pictures of a folder in turn, and its name.

    Raises ValueError for a folder without pictures, CameraError for what is no camera.
    """
    from contract.clock import SystemClock
    from hardware.cameras.interface import CameraError
    from hardware.cameras.video import VideoCamera
    from hardware.simulators.camera import SimulatedCamera

    source: Path = args.source
    if source.is_file():
        files = [source]
    elif source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    else:
        camera = VideoCamera(source, clock=SystemClock(), pinned=args.pin)
        found = camera.identity
        return camera, f"{found.node}: {found.name} ({found.driver}), pin {found.device}"
    if not files:
        raise ValueError(f"{source}: no picture ({', '.join(SUFFIXES)})")
    try:
        pictures = [path.read_bytes() for path in files]
    except OSError as error:
        raise CameraError(str(source), error.strerror or str(error)) from error
    return SimulatedCamera(pictures, clock=SystemClock(), name=str(source)), f"simulated: {source}"


def _show(engine: Any, frame: Frame, number: int, *, is_json: bool) -> None:
    from atm_face.faces import inspect
    from atm_face.images import ImageError, decode_image

    started = time.perf_counter()
    try:
        image = decode_image(frame.encoded, frame.camera)
    except ImageError as error:
        if is_json:
            print(json.dumps({"schema": SCHEMA, "frame": number, "error": error.reason}))
        else:
            print(f"frame {number}: {error.reason}", file=sys.stderr)
        return
    seen = inspect(engine, image)
    spent_ms = (time.perf_counter() - started) * 1e3
    if is_json:
        print(json.dumps(_as_json(seen, number, spent_ms, (image.width, image.height))))
        return
    lines = lines_of(seen, number, spent_ms, (image.width, image.height))
    if sys.stdout.isatty():
        print("\x1b[2J\x1b[H", end="")
    print("\n".join(lines), flush=True)


def _as_json(seen: Capture, number: int, spent_ms: float, size: tuple[int, int]) -> dict[str, Any]:
    """Box in pixels, measures, prompt; no picture and no template."""
    from atm_face.engines.interface import MEASURES

    face, quality = seen.face, seen.quality
    box = None if face is None else [round(v, 1) for v in (face.x, face.y, face.width, face.height)]
    return {
        "schema": SCHEMA,
        "frame": number,
        "size": list(size),
        "finding": seen.finding.value,
        "face_count": seen.face_count,
        "box": box,
        "quality": None
        if quality is None
        else {name: round(float(getattr(quality, name)), 2) for name in MEASURES},
        "prompt": None if seen.prompt is None else seen.prompt.value,
        "spent_ms": round(spent_ms, 1),
    }


def lines_of(seen: Capture, number: int, spent_ms: float, size: tuple[int, int]) -> list[str]:
    """The view of one frame: the picture's edge, the box of the face, numbers and the prompt."""
    from atm_face.screens import PROMPTS

    lines = _drawn(seen, size)
    quality = seen.quality
    words = f"frame {number}: {seen.finding.value}, {seen.face_count} faces, {spent_ms:.0f} ms"
    lines.append(words)
    if quality is not None:
        lines.append(
            f"face {quality.face_px:.0f} px, score {quality.score:.2f}, turn"
            f" {quality.yaw_deg:+.0f}, lean {quality.roll_deg:+.0f} deg,"
            f" sharpness {quality.sharpness:.0f}, brightness {quality.brightness:.0f},"
            f" contrast {quality.contrast:.0f}, cover {quality.lower_colour:.0f},"
            f" light at the eyes {quality.eye_light:.2f}"
        )
    if seen.prompt is not None:
        lines.append(f"{PROMPTS[seen.prompt].en} {PROMPTS[seen.prompt].zh}")
    return lines


def _drawn(seen: Capture, size: tuple[int, int]) -> list[str]:
    """Characters: # is the box, + an eye, nose or corner of the mouth."""
    cells = [[" "] * COLUMNS for _ in range(ROWS)]

    def put(x: float, y: float, sign: str) -> None:
        column, row = int(x / size[0] * COLUMNS), int(y / size[1] * ROWS)
        if 0 <= column < COLUMNS and 0 <= row < ROWS:
            cells[row][column] = sign

    if (face := seen.face) is not None:
        for step in range(2 * COLUMNS + 1):
            share = step / (2 * COLUMNS)
            for edge in (0.0, 1.0):
                put(face.x + share * face.width, face.y + edge * face.height, "#")
                put(face.x + edge * face.width, face.y + share * face.height, "#")
        for point in (face.right_eye, face.left_eye, face.nose, face.mouth_right, face.mouth_left):
            put(*point, "+")
    border = "+" + "-" * COLUMNS + "+"
    return [border, *("|" + "".join(row) + "|" for row in cells), border]
