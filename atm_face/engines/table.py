"""The engines by name."""

from __future__ import annotations

from pathlib import Path

from atm_face.engines.interface import EngineError, FaceEngine

NAMES = ("sface", "face_recognition", "onnx")


def open_engine(name: str, models: Path | None = None) -> FaceEngine:
    """Load an engine; ``models`` is its folder of weights, for ``onnx`` the card. EngineError."""
    if name == "sface":
        from atm_face.engines.sface import SFaceEngine

        return SFaceEngine(models)
    if name == "face_recognition":
        from atm_face.engines.dlib_face import FaceRecognitionEngine

        return FaceRecognitionEngine(models)
    if name == "onnx" and models is not None:
        from atm_face.engines.onnx_model import OnnxEngine

        return OnnxEngine(models)
    if name == "onnx":
        raise EngineError("the engine onnx needs the card of a model")
    raise EngineError(f"no engine {name!r}; there are {', '.join(NAMES)}")
