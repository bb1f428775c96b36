"""A simulated Biometric device: whoever stands there is a byte string, and so is a reference."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

Payload = dict[str, Any]


class SimulatedBiometric:
    """Compares bytes with bytes: equal is 100, everything else 0. One machine's, one thread."""

    def __init__(self, person: Callable[[], bytes]) -> None:
        """``person``: the template of who stands there; empty: nobody."""
        self._person = person
        self._next = 1
        self.imported: dict[str, bytes] = {}
        self.scanned = b""

    def carry_out(self, name: str, payload: Payload) -> tuple[str, Payload]:
        """Carry a command out; returns the completion code and the payload."""
        handlers = {
            "Biometric.Import": self._import,
            "Biometric.Read": self._read,
            "Biometric.Match": self._match,
            "Biometric.Clear": self._clear,
            "Biometric.SetDataPersistence": self._persist,
        }
        handler = handlers.get(name)
        return ("unsupportedCommand", {}) if handler is None else handler(payload)

    def _import(self, payload: Payload) -> tuple[str, Payload]:
        types: Payload = {}
        try:
            for one in payload["templates"]:
                data = base64.b64decode(one["data"], validate=True)
                name, self._next = f"id{self._next}", self._next + 1
                self.imported[name], types[name] = data, one["type"]
        except (KeyError, TypeError, binascii.Error):
            return _error("invalidData")
        return "success", {"templates": types}

    def _read(self, payload: Payload) -> tuple[str, Payload]:
        self.scanned = self._person()
        return ("success", {}) if self.scanned else _error("readFailed")

    def _match(self, payload: Payload) -> tuple[str, Payload]:
        name = str(payload.get("identifier"))
        if not self.imported:
            return _error("noImportedData")
        if not self.scanned:
            return _error("noCaptureData")
        if name not in self.imported:
            return _error("invalidIdentifier")
        level = 100 if self.imported[name] == self.scanned else 0
        is_enough = level >= int(payload.get("threshold", 0))
        return "success", {"candidates": {name: {"confidenceLevel": level}} if is_enough else {}}

    def _clear(self, payload: Payload) -> tuple[str, Payload]:
        what = payload.get("clearData")
        if what in {None, "scannedData"}:
            self.scanned = b""
        if what in {None, "importedData"}:
            self.imported.clear()
        return "success", {}

    def _persist(self, payload: Payload) -> tuple[str, Payload]:
        is_known = payload.get("persistenceMode") == "clear"
        return ("success", {}) if is_known else _error("modeNotSupported")


def _error(code: str) -> tuple[str, Payload]:
    return "commandErrorCode", {"errorCode": code}
