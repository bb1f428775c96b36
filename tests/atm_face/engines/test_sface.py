"""YuNet + SFace: the weights that may be loaded, and what the engine says of known pictures."""

from __future__ import annotations

import csv
import hashlib
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from atm_face.engines import sface, weights
from atm_face.engines.interface import EngineError, Finding, WeightsError
from atm_face.engines.sface import DEFAULT_THRESHOLD, PINS, SFACE, SFaceEngine
from atm_face.engines.weights import carried_folder
from atm_face.engines.yunet import YUNET
from atm_face.faces import inspect
from atm_face.images import Image, decode_image, load_image
from atm_face.opencv import MissingExtraError
from atm_face.screens import Prompt
from atm_face.simulated import made_up_template
from hardware.simulators import portraits


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """An operator's folder with the genuine weights."""
    for pin in PINS:
        shutil.copyfile(carried_folder() / pin.file, tmp_path / pin.file)
    return tmp_path


def picture(raw: bytes) -> Image:
    return decode_image(raw, "portrait")


def similarity(engine: SFaceEngine, first: bytes, second: bytes) -> float:
    templates = []
    for raw in (first, second):
        image = picture(raw)
        capture = inspect(engine, image)
        assert capture.face is not None
        templates.append(engine.encode(image, capture.face))
    return engine.compare(templates[0], templates[1])


@pytest.mark.parametrize("pin", PINS, ids=["detector", "recogniser"])
def test_one_changed_byte_in_the_weights_is_refused_with_both_hashes(
    models: Path, pin: weights.Pin
) -> None:
    path = models / pin.file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(WeightsError) as caught:
        SFaceEngine(models)
    error = caught.value
    assert error.file == str(path)
    assert error.expected == pin.sha256
    assert error.found == hashlib.sha256(raw).hexdigest()
    for part in (error.file, error.expected, error.found):
        assert part in str(error)


def test_absent_weights_are_named(models: Path) -> None:
    (models / SFACE.file).unlink()
    with pytest.raises(WeightsError, match="is missing") as caught:
        SFaceEngine(models)
    assert caught.value.found is None


def test_an_operators_folder_gives_the_same_engine(models: Path, engine: SFaceEngine) -> None:
    own = SFaceEngine(models)
    assert own.model_sha256 == engine.model_sha256
    digests = bytes.fromhex(YUNET.sha256) + bytes.fromhex(SFACE.sha256)
    assert own.model_sha256 == hashlib.sha256(digests).digest()


def test_an_absent_carrier_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CARRIER", "no_such_carrier")
    with pytest.raises(MissingExtraError, match=r"no_such_carrier.*qianshao\[atm\]") as caught:
        SFaceEngine()
    assert isinstance(caught.value, EngineError)


def test_opencv_5_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.__version__", "5.0.0")
    with pytest.raises(EngineError, match=r"OpenCV 5\.0\.0 cannot run YuNet"):
        SFaceEngine()


@pytest.mark.parametrize(
    "copy",
    [
        portraits.portrait_jpeg(),
        portraits.with_brightness(0.5),
        portraits.rotated(10),
        portraits.cropped(),
        portraits.noisy(),
        portraits.mirrored(),
        portraits.scaled(0.5),
        portraits.scaled(4),
        portraits.turned(40),
    ],
    ids=["jpeg", "dark", "leaning", "crop", "noise", "mirror", "half", "four times", "turned"],
)
def test_altered_copies_of_a_portrait_match_it(engine: SFaceEngine, copy: bytes) -> None:
    assert similarity(engine, portraits.portrait(), copy) > DEFAULT_THRESHOLD + 0.1


def test_a_made_up_person_does_not_match(engine: SFaceEngine) -> None:
    image = picture(portraits.portrait())
    capture = inspect(engine, image)
    assert capture.face is not None
    owner = engine.encode(image, capture.face)
    impostors = [made_up_template(engine, f"person {n}") for n in range(50)]
    assert max(engine.compare(owner, impostor) for impostor in impostors) < DEFAULT_THRESHOLD
    assert all(impostor.is_simulated for impostor in impostors)
    assert not owner.is_simulated
    assert engine.compare(impostors[0], made_up_template(engine, "person 0")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("raw", "finding", "prompt"),
    [
        (portraits.nobody(), Finding.NO_FACE, Prompt.LOOK_AT_CAMERA),
        (portraits.covered(), Finding.NO_FACE, Prompt.LOOK_AT_CAMERA),
        (portraits.two_people(), Finding.SEVERAL_FACES, Prompt.ONE_PERSON_ONLY),
        (portraits.scaled(0.2), Finding.POOR_QUALITY, Prompt.COME_CLOSER),
        (portraits.blurred(6), Finding.POOR_QUALITY, Prompt.HOLD_STILL),
        (portraits.with_brightness(0.05), Finding.POOR_QUALITY, Prompt.FIND_EVEN_LIGHT),
        (portraits.with_brightness(2.5), Finding.POOR_QUALITY, Prompt.FIND_EVEN_LIGHT),
        (portraits.portrait(), Finding.FACE, None),
    ],
    ids=["nobody", "covered", "two", "far", "blurred", "dark", "burnt out", "good"],
)
def test_what_a_picture_offers_and_what_would_help(
    engine: SFaceEngine, raw: bytes, finding: Finding, prompt: Prompt | None
) -> None:
    capture = inspect(engine, picture(raw))
    assert (capture.finding, capture.prompt) == (finding, prompt)


@pytest.mark.parametrize("shape", [(1, 1), (2, 640), (5000, 1), (63, 65)])
def test_odd_shapes_have_no_face_and_break_nothing(
    engine: SFaceEngine, shape: tuple[int, int]
) -> None:
    assert engine.detect(Image("odd", np.full((*shape, 3), 200, np.uint8))) == ()


def test_threads_do_not_mix_up_their_pictures(engine: SFaceEngine) -> None:
    """The detector keeps the size of its picture as state: two sizes at once must not meet."""
    small, large = picture(portraits.scaled(0.5)), picture(portraits.scaled(1.1))
    alone = {id(image): engine.detect(image) for image in (small, large)}
    seen: list[bool] = []

    def work(image: Image) -> None:
        seen.extend(engine.detect(image) == alone[id(image)] for _ in range(8))

    threads = [threading.Thread(target=work, args=(image,)) for image in (small, large)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 16


def test_the_carriers_code_is_not_imported(engine: SFaceEngine) -> None:
    import sys

    assert engine.name == sface.NAME
    assert weights.CARRIER not in sys.modules


@pytest.mark.field_data
def test_pairs_of_news_portraits_are_told_apart(engine: SFaceEngine, field_data: Path) -> None:
    """A dozen pairs of each kind, in the order of the list; none of them is a label error."""
    folder = field_data / "faces" / "lfw"
    with (folder / "pairs.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for is_same in ("1", "0"):
        for row in [row for row in rows if row["same"] == is_same][:12]:
            raw = [(folder / "images" / row[key]).read_bytes() for key in ("a", "b")]
            value = similarity(engine, raw[0], raw[1])
            assert (value >= DEFAULT_THRESHOLD) == (is_same == "1"), row


@pytest.mark.field_data
def test_ordinary_portraits_are_never_called_too_poor(
    engine: SFaceEngine, field_data: Path
) -> None:
    paths = sorted((field_data / "faces" / "lfw" / "images").glob("*/*.jpg"))[::40]
    assert len(paths) > 30
    for path in paths:
        assert inspect(engine, load_image(path)).finding is Finding.FACE, path.name
