"""The words of the pages: Babel catalogues, read at start, and the choice of a language."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from babel.messages.pofile import read_po

LOCALES = Path(__file__).parents[1] / "locales"


class Language(StrEnum):
    """Languages of the pages; the value is the ``lang`` attribute."""

    ZH_CN = "zh-CN"
    EN = "en"

    @property
    def folder(self) -> str:
        """Folder of its catalogue."""
        return self.value.replace("-", "_")


DEFAULT = Language.ZH_CN


@dataclass(frozen=True, slots=True)
class Words:
    """One language. A text is asked for by its English, a word of a closed list by its id."""

    language: Language
    texts: dict[str, str]

    def text(self, english: str) -> str:
        """Return a text of the pages; the English itself if the catalogue lacks it."""
        return self.texts.get(english) or english

    def word(self, group: str, name: str) -> str:
        """Return the text of ``name`` in a group (``rule``, ``field``, ...); else the bare name."""
        return self.texts.get(f"{group}.{name}") or name


@functools.cache
def read_catalogue(language: Language, folder: Path = LOCALES) -> Words:
    """Read one catalogue; its entries are plain (no plurals, no contexts)."""
    path = folder / language.folder / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language.folder, abort_invalid=True)
    return Words(language, {str(entry.id): str(entry.string) for entry in catalogue if entry.id})


def read_catalogues() -> dict[Language, Words]:
    """Read every language."""
    return {language: read_catalogue(language) for language in Language}


def named(tag: str | None) -> Language | None:
    """Return the language that a tag such as ``zh``, ``zh-Hans-CN`` or ``en-GB`` asks for."""
    main = (tag or "").strip().replace("_", "-").lower().split("-")[0]
    return {"zh": Language.ZH_CN, "en": Language.EN}.get(main)


def choose(query: str | None, cookie: str | None, accept: str | None) -> Language:
    """Choose by ``?lang=``, then the cookie, then Accept-Language, then Chinese."""
    return named(query) or named(cookie) or _accepted(accept or "") or DEFAULT


def _accepted(header: str) -> Language | None:
    """Return the best known language of an Accept-Language header (RFC 9110 section 12.5.4)."""
    best: tuple[float, Language] | None = None
    for item in header.split(","):
        tag, _, parameter = item.partition(";")
        language = named(tag)
        quality = _quality(parameter)
        if language is not None and quality > (best[0] if best else 0.0):
            best = quality, language
    return best[1] if best else None


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
