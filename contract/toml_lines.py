"""Finds the line of every key of a TOML text, which ``tomllib`` forgets."""

from __future__ import annotations

import bisect
import re
import tomllib
from typing import Any

KeyPath = tuple[str | int, ...]
"""Way to a value: names of keys, and numbers of array elements from 0."""

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A key that needs no quotes."""


def locate(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table, key and array element of a valid TOML text.

    Raises ValueError for a text that is not valid TOML 1.0; line ends are line feeds.
    """
    return _Locator(text).run()


class _Locator:
    """Walks over the text by its punctuation; what the values mean is left to tomllib."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_ends = [i for i, char in enumerate(text) if char == "\n"]
        self._lines: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}  # of arrays that [[headers]] build

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while char := self._next(" \t\n"):
            if char == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> KeyPath:
        start, is_element = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if is_element else 1
        path: KeyPath = ()
        for part in self._key("]"):
            path = self._newest(path)
            path = (*path, part)
        if is_element:
            self._elements[path] = self._elements.get(path, -1) + 1
        path = self._newest(path)
        self._at += 2 if is_element else 1
        self._note(path, start)
        return path

    def _newest(self, path: KeyPath) -> KeyPath:
        """Below an array of tables, a header means its newest element."""
        return (*path, self._elements[path]) if path in self._elements else path

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = (*table, *self._key("="))
        self._at += 1
        self._note(path, start)
        self._value(path)

    def _note(self, path: KeyPath, position: int) -> None:
        line = bisect.bisect_left(self._line_ends, position) + 1
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _key(self, end: str) -> list[str]:
        """Read a dotted key up to (not including) ``end``."""
        start = self._at
        while (char := self._text[self._at : self._at + 1]) != end:
            if char in {'"', "'"}:
                self._string()
            elif char in {"", "\n"}:
                raise ValueError("a key does not end")
            else:
                self._at += 1
        raw = self._text[start : self._at].strip(" \t")
        if BARE_KEY.fullmatch(raw):
            return [raw]
        value: Any = tomllib.loads(f"{raw} = 0")  # which knows quotes and escapes
        parts: list[str] = []
        while isinstance(value, dict):
            ((part, value),) = value.items()
            parts.append(part)
        return parts

    def _value(self, path: KeyPath) -> None:
        char = self._next(" \t")
        self._note(path, self._at)
        if char in {'"', "'"}:
            self._string()
        elif char == "[":
            self._items(path, "]")
        elif char == "{":
            self._items(path, "}")
        else:
            while self._text[self._at : self._at + 1] not in {"", ",", "]", "}", "#", "\n"}:
                self._at += 1

    def _items(self, path: KeyPath, end: str) -> None:
        """Walk over an array or an inline table."""
        self._at += 1
        count = 0
        while (char := self._next(" \t\n")) != end:
            if char == "":
                raise ValueError("an array or a table does not end")
            if char == ",":
                self._at += 1
            elif end == "]":
                self._value((*path, count))
                count += 1
            else:
                self._pair(path)
        self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        while not self._text.startswith(mark, self._at):
            if self._at >= len(self._text):
                raise ValueError("a text does not end")
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(mark)
        if len(mark) == 3:  # up to two quotes may stand before the closing three
            while self._text.startswith(quote, self._at):
                self._at += 1

    def _next(self, blank: str) -> str:
        """Pass over blanks and comments; returns the character there, empty at the end."""
        while char := self._text[self._at : self._at + 1]:
            if char == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif char in blank:
                self._at += 1
            else:
                return char
        return ""
