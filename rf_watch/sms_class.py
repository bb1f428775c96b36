"""What a short message is about (loan, gambling, phishing...), by a model that was learned here.

A linear model over character n-grams, applied in plain Python: the agent needs no learning library,
and a model file can hold nothing but numbers and text. None is shipped; without one every message
is ``unclassified``.
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rf_watch.context import UNCLASSIFIED

FORMAT = "qianshao-sms-model/1"
NGRAM_MAX = 3
_HEAD = struct.Struct("<I")
_HEADER_MAX = 64 * 1024
_FEATURES_MAX = 4_000_000

_SPACE = re.compile(r"\s+")
_REPLACED = (
    (
        re.compile(
            r"(?:https?://|www\.)[!-~]+|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|cn|cc|net|top|vip)"
            r"(?:/[!-~]*)?",
            re.IGNORECASE,
        ),
        "URL",
    ),
    (re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)"), "CELLPHONE"),
    (re.compile(r"(?<!\d)(?:0\d{2,3}-?\d{7,8}|[48]00-?\d{3}-?\d{4})(?!\d)"), "PHONE"),
    (re.compile(r"\d+"), "DIGIT"),
)
_MARKS = {
    "CELLPHONE": "\ue001",
    "DIGIT": "\ue002",
    "NAME": "\ue003",
    "PHONE": "\ue004",
    "PLACE": "\ue005",
    "URL": "\ue006",
}
"""Placeholders of anonymised corpora, each one character of the private use area."""
_MARK = re.compile("(" + "|".join(sorted(_MARKS, key=len, reverse=True)) + ")+")


class ModelError(ValueError):
    """A model file that cannot be used, and why."""


def normalised(text: str) -> str:
    """Return a text as the model sees it.

    No blanks (corpora are cut into words, messages are not); numbers, links and telephone numbers
    become the placeholders that anonymised corpora use, a run of one as one character.
    """
    text = _SPACE.sub("", text)
    for pattern, word in _REPLACED:
        text = pattern.sub(word, text)
    return _MARK.sub(lambda found: _MARKS[found[1]], text)


def ngrams(text: str) -> Counter[str]:
    """Count the n-grams of one to NGRAM_MAX characters of a normalised text."""
    return Counter(
        text[at : at + size]
        for size in range(1, NGRAM_MAX + 1)
        for at in range(len(text) - size + 1)
    )


@dataclass(frozen=True, slots=True)
class SmsModel:
    """Weights of a linear classifier over TF-IDF of n-grams."""

    classes: tuple[str, ...]
    bias: tuple[float, ...]
    index: dict[str, int]
    idf: array[float]
    weights: array[float]
    """One row of ``len(classes)`` values for each n-gram."""

    def scores(self, text: str) -> list[float] | None:
        """Return the decision value of each class; None where nothing of the text is known."""
        known = [
            (self.index[gram], 1 + math.log(count))
            for gram, count in ngrams(normalised(text)).items()
            if gram in self.index
        ]
        values = [(row, weight * self.idf[row]) for row, weight in known]
        norm = math.sqrt(sum(value * value for _, value in values))
        if not norm:
            return None
        width = len(self.classes)
        out = list(self.bias)
        for row, value in values:
            start = row * width
            for column in range(width):
                out[column] += value / norm * self.weights[start + column]
        return out

    def classify(self, text: str) -> str:
        """Return the class with the highest decision value."""
        scores = self.scores(text)
        if scores is None:
            return UNCLASSIFIED
        return self.classes[max(range(len(scores)), key=scores.__getitem__)]

    def to_bytes(self) -> bytes:
        """Return the file form: a JSON header, the n-grams, then little-endian float32 arrays."""
        grams = "\n".join(self.index).encode()
        header = {
            "format": FORMAT,
            "classes": self.classes,
            "bias": self.bias,
            "ngrams": len(self.index),
            "ngram_bytes": len(grams),
        }
        head = json.dumps(header, sort_keys=True).encode()
        return _HEAD.pack(len(head)) + head + grams + _little(self.idf) + _little(self.weights)


def make_model(
    classes: Sequence[str],
    bias: Sequence[float],
    grams: Sequence[str],
    idf: Sequence[float],
    weights: Sequence[Sequence[float]],
) -> SmsModel:
    """Build a model from a trainer's numbers; ``weights`` has a row for each class."""
    flat = array("f")
    for column in range(len(grams)):
        flat.extend(row[column] for row in weights)
    return SmsModel(
        classes=tuple(classes),
        bias=tuple(float(value) for value in bias),
        index={gram: number for number, gram in enumerate(grams)},
        idf=array("f", idf),
        weights=flat,
    )


def parse_model(data: bytes) -> SmsModel:
    """Read the file form; raises ModelError."""
    try:
        return _parse(data)
    except (KeyError, TypeError, ValueError, RecursionError, struct.error) as error:
        raise ModelError(f"no usable model: {error}") from None


def _parse(data: bytes) -> SmsModel:
    (length,) = _HEAD.unpack_from(data)
    if length > _HEADER_MAX:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(data[_HEAD.size : _HEAD.size + length])
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"not of the format {FORMAT}")
    classes = tuple(str(name) for name in header["classes"])
    bias = tuple(float(value) for value in header["bias"])
    count, size = int(header["ngrams"]), int(header["ngram_bytes"])
    if not classes or len(bias) != len(classes) or not 0 <= count <= _FEATURES_MAX or size < 0:
        raise ValueError("sizes that do not fit together")
    at = _HEAD.size + length
    text = data[at : at + size].decode()
    grams = text.split("\n") if count else []
    at += size
    wanted = 4 * count * (1 + len(classes))
    if len(grams) != count or len(data) - at != wanted:
        raise ValueError("sizes that do not fit together")
    idf, weights = _floats(data[at : at + 4 * count]), _floats(data[at + 4 * count :])
    return SmsModel(classes, bias, {gram: n for n, gram in enumerate(grams)}, idf, weights)


def _little(values: array[float]) -> bytes:
    if sys.byteorder == "little":
        return values.tobytes()
    copy = array("f", values)
    copy.byteswap()
    return copy.tobytes()


def _floats(data: bytes) -> array[float]:
    values = array("f")
    values.frombytes(data)
    if sys.byteorder != "little":
        values.byteswap()
    if not all(map(math.isfinite, values)):
        raise ValueError("a weight that is no number")
    return values
