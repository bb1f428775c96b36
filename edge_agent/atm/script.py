"""A scripted run of customers, until the machine's own card reader, keypad and camera are driven.

The file stays inside the ATM: it holds card numbers. The keypad appears only by its verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atm_face.policy import Business
from contract.settings import Table, TomlFile
from contract.words import PinVerdict

MAX_AMOUNT_FEN = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedVisit:
    """One customer: what goes into the machine and what the camera will see."""

    note: str
    pan: str
    business: Business
    amount_fen: int
    payee: str | None
    """Account that a transfer goes to."""
    pin: PinVerdict
    reference: Path | None
    """Picture taken at enrolment; None with ``stranger`` unset: the card is not enrolled."""
    stranger: str | None
    """Instead of a picture: the reference is a made-up person of this name (engine level)."""
    faces: tuple[Path, ...]
    turn_left: tuple[Path, ...]
    turn_right: tuple[Path, ...]
    answers_challenge: bool
    confirms: bool
    """What the customer answers to the question of a transaction that may be somebody else's."""
    can_approach: bool
    """The pictures show the face at one size, so that coming closer can be made from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitScript:
    """The visits, played in turn and again from the first."""

    pause_s: float
    list_age_s: float
    """Age of the list of stops and freezes that this script plays, seconds."""
    is_online: bool
    visits: tuple[ScriptedVisit, ...]


def load_script(path: Path) -> VisitScript:
    """Read a script; raises ConfigError with every mistake and its line."""
    file = TomlFile.read(path)
    root = file.root
    script = VisitScript(
        pause_s=root.number_or("pause_s", 5.0, 0.05, 3600.0),
        list_age_s=root.number_or("list_age_s", 0.0, 0.0, 1e9),
        is_online=root.boolean_or("is_online", True),
        visits=tuple(_visit(table) for table in root.tables("visits")),
    )
    if not script.visits:
        root.problem("visits", "at least one [[visits]] is needed")
    file.finish()
    return script


def _visit(table: Table) -> ScriptedVisit:
    visit = ScriptedVisit(
        note=table.text_or("note", ""),
        pan=table.text("pan", _pan),
        business=table.word_or("business", Business.WITHDRAW, Business),
        amount_fen=table.integer("amount_fen", 1, MAX_AMOUNT_FEN),
        payee=table.text_or("payee", None, _pan),
        pin=table.word("pin", PinVerdict),
        reference=table.path_or("reference", None),
        stranger=table.text_or("stranger", None),
        faces=table.paths("faces"),
        turn_left=table.paths("turn_left"),
        turn_right=table.paths("turn_right"),
        answers_challenge=table.boolean_or("answers_challenge", True),
        confirms=table.boolean_or("confirms", True),
        can_approach=table.boolean_or("can_approach", False),
    )
    if not visit.faces:
        table.problem("faces", "at least one picture is needed")
    if visit.reference is not None and visit.stranger is not None:
        table.problem("stranger", "a card has one reference: a picture or a made-up person")
    return visit


def _pan(text: str) -> str:
    if not (text.isascii() and text.isdigit() and 12 <= len(text) <= 19):
        raise ValueError("a card number has 12 to 19 digits")  # never echoed
    return text
