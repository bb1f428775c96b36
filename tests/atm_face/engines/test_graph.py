"""The reader of ONNX bytes: the published graph is freed of its false inputs, garbage is named."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atm_face.engines.graph import GraphError, open_graph, run_graph, without_false_inputs
from atm_face.engines.sface import SFACE
from atm_face.engines.weights import carried_folder


def test_unfolded_weights_answer_as_opencv_does() -> None:
    import cv2

    path = carried_folder() / SFACE.file
    session = open_graph(without_false_inputs(path.read_bytes(), keep="data"))
    assert [one.name for one in session.get_inputs()] == ["data"]
    crop = np.random.default_rng(7).integers(0, 255, (112, 112, 3), np.uint8)
    ours = run_graph(session, crop[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32))
    theirs = cv2.FaceRecognizerSF.create(str(path), "").feature(crop).ravel()
    cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > 0.99999


@given(st.binary(max_size=200))
@example(b"\x3a\xff\xff\xff\xff\x7f")
@example(b"\x3b")
@example(b"\x80" * 12)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(GraphError):
        without_false_inputs(raw, keep="data")


def test_what_onnxruntime_refuses_is_an_engine_error() -> None:
    with pytest.raises(GraphError, match="onnxruntime refuses"):
        open_graph(b"\x08\x07")
