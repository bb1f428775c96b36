"""What a simulated modem answers: a recorded transcript, or a built-in scene of invented cells."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Literal, Protocol

from hardware.modems.at import LineKind, kind_of
from hardware.modems.quectel import NEIGHBOURS, SERVING, looks_like_transcript, rounds
from hardware.modems.transcripts import Round

SceneName = Literal["genuine", "fake_cell"]
SCENES: tuple[SceneName, ...] = ("genuine", "fake_cell")

_GENUINE_GSM = '"servingcell","NOCONN","GSM",460,00,52A1,3C07,21,57,-,{},255,255,0,{},{},1' + (
    ",-" * 9 + ',"-"'
)
# MCC, MNC, LAC, CI, BSIC, ARFCN and the usual level of ordinary neighbours
_GENUINE_GSM_NEIGHBOURS = (
    ("460,00,52A1,3C08,44,23", -78),
    ("460,00,52A1,3D12,9,531", -85),
    ("460,00,52A4,11F6,60,64", -91),
    ("460,00,52A4,11F7,37,602", -95),
)
_GENUINE_LTE = (
    '"servingcell","NOCONN","LTE","TDD",460,00,7A3150B,217,38400,39,5,5,52A1,{},-9,{},17,29'
)
_GENUINE_LTE_NEIGHBOURS = (("38400,218", -101), ("38400,340", -107))
# 460-11 has never had a GSM network: no plan of any year allows this cell
_FAKE_GSM = '"servingcell","NOCONN","GSM",460,11,7B02,2E95,5,62,-,{},255,255,0,{},{},1' + (
    ",-" * 9 + ',"-"'
)
_ACCESS_MIN_DBM = -105
_GENUINE_OFFSET_DB, _FAKE_OFFSET_DB = 60, 126


class TranscriptError(Exception):
    """A transcript that a modem cannot be played from."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file
        self.problem = problem


class Script(Protocol):
    """What the modem has to say."""

    def answer(self, command: str) -> tuple[str, ...] | None:
        """Lines of the answer with its final result; None for a command it does not know."""


class TranscriptScript:
    """Answers each command with the next recorded answer to it, round and round."""

    def __init__(self, content: bytes, file: str) -> None:
        if not looks_like_transcript(content):
            raise TranscriptError(file, "no +QENG or +QSCAN answer in it")
        self._answers: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for one in rounds(content):
            command = _command_of(one)
            lines = [line.strip() for line in one.lines]
            said = [line for line in lines if line and kind_of(line) is not LineKind.ECHO]
            if command is None or not said:
                continue
            if kind_of(said[-1]) not in {LineKind.OK, LineKind.ERROR}:
                said.append(b"OK")  # a log that leaves the final result out
            self._answers[command].append(tuple(line.decode("latin-1") for line in said))
        if not self._answers:
            raise TranscriptError(file, "no recorded answer to a command in it")
        self._next: dict[str, int] = defaultdict(int)

    @classmethod
    def from_file(cls, path: Path) -> TranscriptScript:
        """Read a transcript; TranscriptError names the file and what is wrong with it."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise TranscriptError(str(path), error.strerror or str(error)) from error
        return cls(content, str(path))

    @property
    def commands(self) -> tuple[str, ...]:
        """Commands it knows an answer to."""
        return tuple(self._answers)

    def answer(self, command: str) -> tuple[str, ...] | None:
        """The next recorded answer; see Script."""
        key = normalised(command)
        recorded = self._answers.get(key)
        if recorded is None:
            return None
        index = self._next[key]
        self._next[key] = (index + 1) % len(recorded)
        return recorded[index]


_IDENTITY = {
    "AT+CGMI": ("Quectel", "OK"),
    "AT+CGMM": ("EG25", "OK"),
    "AT+CGMR": ("EG25GGBR07A08M2G", "OK"),
}
"""Who it says it is (3GPP TS 27.007 sections 5.1 to 5.3)."""


class SceneScript:
    """Invented cells: camped on LTE and on GSM by turns, levels wavering a little.

    In the scene ``fake_cell``, after ``fake_after`` polls of the serving cell, a strong GSM cell
    of 460-11 has captured the modem and keeps it.
    """

    def __init__(self, scene: SceneName, *, fake_after: int = 5, seed: int = 0) -> None:
        self._scene = scene
        self._fake_after = fake_after
        self._rng = random.Random(seed)  # noqa: S311 - wavers levels, guards nothing
        self._polls = 0

    @property
    def has_fake_cell(self) -> bool:
        """Whether the fake cell is on the air by now."""
        return self._scene == "fake_cell" and self._polls > self._fake_after

    def answer(self, command: str) -> tuple[str, ...] | None:
        """Answer the two AT+QENG commands, and who it is; see Script."""
        key = normalised(command)
        if key == _key(SERVING):
            self._polls += 1
            return ("+QENG: " + self._serving(), "OK")
        if key == _key(NEIGHBOURS):
            return (*(f"+QENG: {line}" for line in self._neighbours()), "OK")
        return _IDENTITY.get(key)

    @property
    def _is_on_gsm(self) -> bool:
        return self.has_fake_cell or self._polls % 2 == 0

    def _serving(self) -> str:
        if self.has_fake_cell:
            return _with_levels(_FAKE_GSM, self._near(-49), _FAKE_OFFSET_DB)
        if self._is_on_gsm:
            return _with_levels(_GENUINE_GSM, self._near(-68), _GENUINE_OFFSET_DB)
        rsrp = self._near(-92)
        return _GENUINE_LTE.format(rsrp, rsrp + 27)

    def _neighbours(self) -> list[str]:
        if self._is_on_gsm:
            pairs = [(cell, self._near(level)) for cell, level in _GENUINE_GSM_NEIGHBOURS]
            return [
                f'"neighbourcell","GSM",{cell},{level},{level - _ACCESS_MIN_DBM},'
                f"{level - _ACCESS_MIN_DBM + _GENUINE_OFFSET_DB},0,0"
                for cell, level in pairs
            ]
        return [
            f'"neighbourcell intra","LTE",{cell},-12,{self._near(level)},-74,-,-,-,-,-,-'
            for cell, level in _GENUINE_LTE_NEIGHBOURS
        ]

    def _near(self, level_dbm: int) -> int:
        return level_dbm + self._rng.randint(-2, 2)


def normalised(command: str) -> str:
    """Commands compare without blanks and without regard to case."""
    return command.upper().replace(" ", "")


def _key(command: bytes) -> str:
    return normalised(command.decode().strip())


def _command_of(one: Round) -> str | None:
    """The command of a round; told from its answer where the log has no echo."""
    if one.command is not None:
        return normalised(one.command.decode("latin-1"))
    for line in one.lines:
        for word, command in ((b'"servingcell"', SERVING), (b'"neighbourcell', NEIGHBOURS)):
            if line.startswith(b"+QENG:") and word in line:
                return _key(command)
    return None


def _with_levels(line: str, level_dbm: int, offset_db: int) -> str:
    c1 = level_dbm - _ACCESS_MIN_DBM
    return line.format(level_dbm, c1, c1 + offset_db)
