"""An operator's model: its card is read strictly, and it decides nothing before calibration."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm_face.engines.graph import GraphError, without_false_inputs
from atm_face.engines.interface import ThresholdError, WeightsError, deciding_threshold
from atm_face.engines.model_card import CardError, parse_card
from atm_face.engines.onnx_model import OnnxEngine
from atm_face.engines.sface import SFACE
from atm_face.engines.table import open_engine
from atm_face.engines.weights import carried_folder
from atm_face.faces import template_of
from atm_face.images import decode_image
from hardware.simulators import portraits


def calibration(sha256: str, comparisons: int = 40_000) -> dict[str, Any]:
    point = {"impostor_comparisons": comparisons}
    return {
        "schema": "qianshao.face_calibration/1",
        "engine": "onnx:own",
        "weights_sha256": sha256,
        "thresholds": {
            "1e-4": point | {"threshold": 0.41},
            "1e-3": point | {"threshold": 0.36},
        },
    }


def card_of(digest: str, /, **more: object) -> dict[str, Any]:
    pixels = {"colour": "rgb", "mean": 0, "std": 1}
    card = {
        "schema": "qianshao.face_model_card/1",
        "name": "own",
        "licence": "Apache-2.0",
        "file": "own.onnx",
        "sha256": digest,
        "input": pixels,
    }
    return card | more


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    raw = without_false_inputs((carried_folder() / SFACE.file).read_bytes(), keep="data")
    (folder / "own.onnx").write_bytes(raw)
    path = folder / "own.json"
    path.write_text(json.dumps(card_of(hashlib.sha256(raw).hexdigest())))
    return path


def test_a_model_without_calibration_compares_but_decides_nothing(card: Path) -> None:
    engine = open_engine("onnx", card)
    assert isinstance(engine, OnnxEngine)
    template = template_of(engine, decode_image(portraits.portrait(), "portrait"))
    again = template_of(engine, decode_image(portraits.rotated(10), "portrait"))
    assert engine.compare(template, again) > 0.6  # type: ignore[arg-type]
    assert engine.threshold_floor == math.inf
    with pytest.raises(ThresholdError):
        deciding_threshold(engine, 0.99)


def test_calibration_gives_both_thresholds_and_only_its_own_model_takes_it(card: Path) -> None:
    sha256 = json.loads(card.read_text())["sha256"]
    good = card_of(sha256, calibration=calibration(sha256))
    read = parse_card(json.dumps(good).encode(), "card")
    assert (read.default_threshold, read.threshold_floor) == (0.41, 0.36)
    for bad, reason in (
        (calibration("0" * 64), "another model"),
        (calibration(sha256, comparisons=29_999), "too few"),
        ({"schema": "x"}, "calibration.schema"),
    ):
        with pytest.raises(CardError, match=reason):
            parse_card(json.dumps(card_of(sha256, calibration=bad)).encode(), "card")


def test_a_changed_model_is_refused(card: Path, tmp_path: Path) -> None:
    shutil.copy(card, tmp_path)
    (tmp_path / "own.onnx").write_bytes(b"another")
    with pytest.raises(WeightsError):
        OnnxEngine(tmp_path / "own.json")


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"licence": ""}, "licence"),
        ({"sha256": "12"}, "sha256"),
        ({"file": "../own.onnx"}, "file"),
        ({"input": {"colour": "grey"}}, r"input\.colour"),
        ({"input": {"colour": "rgb", "mean": 0, "std": 0}}, r"input\.std"),
        ({"input": {"colour": "rgb", "mean": True, "std": 1}}, "mean"),
        ({"schema": "2"}, "schema"),
    ],
)
def test_a_bad_card_names_the_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(CardError, match=key):
        parse_card(json.dumps(card_of("0" * 64, **more)).encode(), "card")


@given(
    st.recursive(
        st.none() | st.floats() | st.text(),
        lambda x: st.dictionaries(
            st.sampled_from(
                ["schema", "input", "calibration", "thresholds", "1e-4", "sha256", "std"]
            ),
            x,
        ),
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    merged = card_of("0" * 64) | value if isinstance(value, dict) else value
    with suppress(CardError):
        parse_card(json.dumps(merged).encode(), "card")


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(CardError):
        parse_card(raw, "card")


def test_a_graph_of_another_kind_is_refused(tmp_path: Path) -> None:
    raw = (carried_folder() / "face_detection_yunet_2023mar_int8bq.onnx").read_bytes()
    (tmp_path / "own.onnx").write_bytes(raw)
    path = tmp_path / "own.json"
    path.write_text(json.dumps(card_of(hashlib.sha256(raw).hexdigest())))
    with pytest.raises(GraphError):
        OnnxEngine(path)
