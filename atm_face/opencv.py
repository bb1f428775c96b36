"""OpenCV is heavy and optional: it is imported only by the functions that need it."""

from __future__ import annotations

from importlib.util import find_spec


class EngineError(Exception):
    """A face engine cannot be used as it is installed or asked for."""


class MissingExtraError(EngineError):
    """A part of the installation is absent; ``extra`` names what brings it."""

    def __init__(self, module: str, extra: str = "qianshao[atm]") -> None:
        super().__init__(f"{module} is not installed: the face factor needs {extra}")
        self.module = module
        self.extra = extra


def require_opencv() -> None:
    """Raise MissingExtraError unless OpenCV and NumPy can be imported."""
    for module in ("numpy", "cv2"):
        if find_spec(module) is None:
            raise MissingExtraError(module)
