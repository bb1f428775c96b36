"""Settings in TOML files: typed getters, and errors that name file, line and key.

A reader asks a :class:`Table` for every key it knows; problems are gathered and
:meth:`TomlFile.finish` raises them all at once, keys that nobody asked for among them.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from contract.toml_lines import BARE_KEY, KeyPath, locate

Check = Callable[[str], str]
"""Returns the text if it is good, raises ValueError (with the problem) if it is not."""

MAX_FILE_BYTES = 1024 * 1024

D = TypeVar("D")
W = TypeVar("W", bound=StrEnum)

_MISSING: Final = object()
_LINE_OF_ERROR = re.compile(r"\(at line (\d+),")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a settings file; ``line`` is None where no line can be named."""

    file: Path
    line: int | None
    key: str
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else str(self.file)
        return f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}"


class ConfigError(ValueError):
    """A settings file that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def key_text(path: KeyPath) -> str:
    """Write a path as a person would, e.g. ``sensors[1].url``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if BARE_KEY.fullmatch(part) else f'"{part}"'
            text += f".{name}" if text else name
    return text


class TomlFile:
    """A parsed file, its lines, and the problems found so far."""

    def __init__(self, path: Path, text: str) -> None:
        """Parse ``text`` as the content of ``path``; raises ConfigError for a syntax error."""
        self.path = path
        self._problems: list[Problem] = []
        self._tables: list[Table] = []
        text = text.replace("\r\n", "\n")
        try:
            values = tomllib.loads(text)
            self._lines = locate(text)
        except (ValueError, OverflowError) as error:
            raise ConfigError([_syntax_problem(path, text, str(error))]) from error
        except RecursionError as error:
            raise ConfigError([Problem(path, None, "", "is nested too deeply")]) from error
        self.root = self._table(values, ())

    @classmethod
    def read(cls, path: Path) -> TomlFile:
        """Read a file; raises ConfigError if it cannot be read or is no TOML."""
        try:
            size = path.stat().st_size
            raw = path.read_bytes() if size <= MAX_FILE_BYTES else b""
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            raise ConfigError([Problem(path, None, "", problem)]) from error
        if size > MAX_FILE_BYTES:
            problem = f"has {size} bytes, at most {MAX_FILE_BYTES} are read"
            raise ConfigError([Problem(path, None, "", problem)])
        try:
            text = raw.decode("utf-8-sig")  # some editors put a mark before the first line
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise ConfigError([Problem(path, line, "", "is not UTF-8")]) from error
        return cls(path, text)

    def finish(self) -> None:
        """Raise ConfigError if anything was wrong, keys that nobody asked for included."""
        for table in self._tables:
            for key in table.unasked():
                self.note((*table.at, key), f"unknown key{_likeness(key, table.asked)}")
        if self._problems:
            ordered = sorted(self._problems, key=lambda p: p.line or 0)
            raise ConfigError(ordered)

    def note(self, at: KeyPath, problem: str) -> None:
        """Note a problem of the value at ``at``; the line is its own or its nearest parent's."""
        line = next((self._lines[p] for p in _upwards(at) if p in self._lines), None)
        self._problems.append(Problem(self.path, line, key_text(at), problem))

    def _table(self, values: dict[str, Any], at: KeyPath) -> Table:
        table = Table(self, values, at)
        self._tables.append(table)
        return table

    def table(self, values: object, at: KeyPath) -> Table:
        """Open the table at ``at``; if it is none, note that and open a silent stand-in."""
        if isinstance(values, dict):
            return self._table(values, at)
        self.note(at, "is missing" if values is _MISSING else f"expected a table{_found(values)}")
        return Table(self, None, at)


class Table:
    """One table of a file.

    A getter whose value is missing or wrong notes the problem and returns a harmless stand-in:
    the caller reads on, and :meth:`TomlFile.finish` raises before anything can use it.
    """

    def __init__(self, file: TomlFile, values: dict[str, Any] | None, at: KeyPath) -> None:
        """``values`` None makes a stand-in for a missing table, which notes nothing more."""
        self.at = at
        self.asked: set[str] = set()
        self._file = file
        self._values = values

    def unasked(self) -> list[str]:
        """Keys that no getter was asked for."""
        return [key for key in self._values or {} if key not in self.asked]

    def has(self, key: str) -> bool:
        """Whether the key is there (asking this does not count as knowing the key)."""
        return self._values is not None and key in self._values

    def problem(self, key: str, problem: str) -> None:
        """Note a problem that only the caller can see; an empty key means the table itself."""
        if self._values is not None:
            self._file.note((*self.at, key) if key else self.at, problem)

    def forbid(self, key: str, problem: str) -> None:
        """Note that a known key has no place here."""
        self.asked.add(key)
        self.problem(key, problem)

    # -- required values ---------------------------------------------------------------------

    def text(self, key: str, check: Check | None = None) -> str:
        """Return a text that is not empty and passes the check."""
        return self._typed(key, "", _as_text(check))

    def integer(self, key: str, minimum: int, maximum: int) -> int:
        """Return a whole number within the limits."""
        return self._typed(key, minimum, _as_integer(minimum, maximum))

    def number(self, key: str, minimum: float, maximum: float) -> float:
        """Return a number within the limits."""
        return self._typed(key, minimum, _as_number(minimum, maximum))

    def word(self, key: str, words: type[W]) -> W:
        """Return one of a closed list of words."""
        return self._typed(key, next(iter(words)), _as_word(words))

    def path(self, key: str) -> Path:
        """Return a path; a relative one begins at the file's own folder."""
        return self._typed(key, self._file.path, self._as_path)

    def table(self, key: str) -> Table:
        """Return a table."""
        return self._file.table(self._take(key), (*self.at, key)) if self._is_real else self

    # -- values with a default ---------------------------------------------------------------

    def text_or(self, key: str, default: D, check: Check | None = None) -> str | D:
        """Return a text, or the default where the key is missing."""
        return self.text(key, check) if self.has(key) else self._absent(key, default)

    def integer_or(self, key: str, default: D, minimum: int, maximum: int) -> int | D:
        """Return a whole number, or the default."""
        return self.integer(key, minimum, maximum) if self.has(key) else self._absent(key, default)

    def number_or(self, key: str, default: D, minimum: float, maximum: float) -> float | D:
        """Return a number, or the default."""
        return self.number(key, minimum, maximum) if self.has(key) else self._absent(key, default)

    def word_or(self, key: str, default: D, words: type[W]) -> W | D:
        """Return one of a closed list of words, or the default."""
        return self.word(key, words) if self.has(key) else self._absent(key, default)

    def boolean_or(self, key: str, default: bool) -> bool:
        """Return true or false, or the default."""
        if not self.has(key):
            return self._absent(key, default)
        return self._typed(key, default, _as_boolean)

    def path_or(self, key: str, default: D) -> Path | D:
        """Return a path, or the default."""
        return self.path(key) if self.has(key) else self._absent(key, default)

    def paths(self, key: str) -> tuple[Path, ...]:
        """Return an array of paths, empty where the key is missing."""
        return self._typed(key, (), self._as_paths) if self.has(key) else self._absent(key, ())

    def texts_or(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return an array of texts, or the default."""
        return self._typed(key, (), _as_texts) if self.has(key) else self._absent(key, default)

    def table_or_none(self, key: str) -> Table | None:
        """Return a table, or None."""
        return self.table(key) if self.has(key) else self._absent(key, None)

    def tables(self, key: str) -> list[Table]:
        """Return the tables of an array of tables, an empty list where the key is missing."""
        values = self._take(key)
        if values is _MISSING:
            return []
        at = (*self.at, key)
        if not isinstance(values, list):
            self._file.note(at, f"expected an array of tables, [[{key}]]{_found(values)}")
            return []
        return [self._file.table(value, (*at, i)) for i, value in enumerate(values)]

    # -- inside ------------------------------------------------------------------------------

    @property
    def _is_real(self) -> bool:
        return self._values is not None

    def _take(self, key: str) -> object:
        self.asked.add(key)
        return _MISSING if self._values is None else self._values.get(key, _MISSING)

    def _absent(self, key: str, default: D) -> D:
        self.asked.add(key)
        return default

    def _typed(self, key: str, stand_in: D, read: Callable[[object], D]) -> D:
        value = self._take(key)
        try:
            if value is _MISSING:
                raise ValueError("is missing")
            return read(value)
        except ValueError as error:
            self.problem(key, str(error))
            return stand_in

    def _as_paths(self, value: object) -> tuple[Path, ...]:
        if not isinstance(value, list):
            raise ValueError(f"expected an array of paths{_found(value)}")
        return tuple(self._as_path(item) for item in value)

    def _as_path(self, value: object) -> Path:
        text = _as_text(None)(value)
        if "\0" in text:
            raise ValueError("a path holds no zero byte")
        return self._file.path.parent / text


# -- values ------------------------------------------------------------------------------------


_KINDS: dict[type, str] = {
    dict: "a table",
    list: "an array",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dt.datetime: "a date and time",
    dt.date: "a date",
    dt.time: "a time",
}


def _found(value: object) -> str:
    return f", found {_KINDS[type(value)]}"


def _as_text(check: Check | None) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a text{_found(value)}")
        if not value.strip():
            raise ValueError("is empty")
        return check(value) if check is not None else value

    return read


def _as_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected an array of texts{_found(value)}")
    return tuple(_as_text(None)(item) for item in value)


def _as_integer(minimum: int, maximum: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int:
            raise ValueError(f"expected a whole number{_found(value)}")
        if not minimum <= value <= maximum:
            raise ValueError(f"{value} is not within {minimum} to {maximum}")
        return value

    return read


def _as_number(minimum: float, maximum: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if type(value) not in {int, float}:
            raise ValueError(f"expected a number{_found(value)}")
        assert isinstance(value, int | float)
        if not minimum <= value <= maximum:  # which no NaN is
            raise ValueError(f"{value} is not within {minimum:g} to {maximum:g}")
        return float(value)

    return read


def _as_word(words: type[W]) -> Callable[[object], W]:
    def read(value: object) -> W:
        text = _as_text(None)(value)
        known = [word.value for word in words]
        if text not in known:
            likeness = _likeness(text, known)
            raise ValueError(f"{text!r} is none of {', '.join(known)}{likeness}")
        return words(text)

    return read


def _as_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false{_found(value)}")
    return value


def _likeness(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


# -- lines -------------------------------------------------------------------------------------


def _upwards(at: KeyPath) -> Iterable[KeyPath]:
    return (at[:length] for length in range(len(at), 0, -1))


def _syntax_problem(path: Path, text: str, problem: str) -> Problem:
    """Turn tomllib's message, which ends with the place, into a problem with a line."""
    found = _LINE_OF_ERROR.search(problem)
    line = int(found[1]) if found else None
    if "(at end of document)" in problem:
        line = text.count("\n") + 1
    return Problem(path, line, "", problem.split(" (at ", maxsplit=1)[0])
