"""Records on the wire: deterministic CBOR maps with small integer keys, and their JSON view.

A record is a frozen dataclass whose fields are annotated with :class:`Key`. The keys stay in
-24..23, where every encoded key has one byte, because only there does cbor2's length-first order
equal the bytewise order of RFC 8949 section 4.2.1.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
import operator
import threading
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import Any, TypeVar, Union

import cbor2

from contract.clock import UnixMicros

Scalar = bool | int | float | str
"""A value that a rule, a rival or a counter names."""

Values = dict[str, Scalar]
"""Named values. On the wire an array of [name, value] sorted by name: no map key is text."""

MAX_MESSAGE_BYTES = 64 * 1024
"""Larger input is refused before it is decoded."""

_SCALAR_TYPES = (bool, int, float, str)
_MIN_KEY, _MAX_KEY = -24, 23
_FIRST_MOMENT = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
_LAST_MOMENT = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - without a zone it is written without one

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Key:
    """The integer key of a field on the wire and a sentence about it for the documents."""

    number: int
    meaning: str = ""


class DecodeError(ValueError):
    """Bytes or values that are not what the contract says; ``place`` is the path to the field."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}" if place else problem)
        self.place = place
        self.problem = problem

    def below(self, parent: str) -> DecodeError:
        """Return the same error as seen from one step further out."""
        joint = "." if parent and self.place and not self.place.startswith("[") else ""
        return DecodeError(f"{parent}{joint}{self.place}", self.problem)


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One field of a record, worked out once for each class."""

    name: str
    key: int
    meaning: str
    hint: Any
    is_required: bool


_PLANS: dict[type, tuple[FieldPlan, ...]] = {}


def plan(record: type) -> tuple[FieldPlan, ...]:
    """Return the fields of a record class with their keys; programming errors raise TypeError."""
    if record not in _PLANS:
        _PLANS[record] = _work_out(record)
    return _PLANS[record]


def _work_out(record: type) -> tuple[FieldPlan, ...]:
    hints = typing.get_type_hints(record, include_extras=True)
    fields: list[FieldPlan] = []
    for field in dataclasses.fields(record):
        hint = hints[field.name]
        keys = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Key)]
        if len(keys) != 1:
            raise TypeError(f"{record.__name__}.{field.name} needs one Key")
        number = keys[0].number
        if not _MIN_KEY <= number <= _MAX_KEY:
            raise TypeError(f"{record.__name__}.{field.name}: key {number} is outside -24..23")
        is_required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        fields.append(
            FieldPlan(field.name, number, keys[0].meaning, typing.get_args(hint)[0], is_required)
        )
    if len({f.key for f in fields}) != len(fields):
        raise TypeError(f"{record.__name__} uses a key twice")
    return tuple(fields)


@functools.cache
def optional(hint: Any) -> tuple[Any, bool]:
    """Split ``X | None`` into X and True; anything else is returned with False."""
    if typing.get_origin(hint) in {Union, types.UnionType}:
        rest = [a for a in typing.get_args(hint) if a is not type(None)]
        if len(rest) < len(typing.get_args(hint)):
            return (rest[0] if len(rest) == 1 else functools.reduce(operator.or_, rest)), True
    return hint, False


@functools.cache
def is_scalar(hint: Any) -> bool:
    """True for the Scalar union."""
    origin = typing.get_origin(hint)
    return origin in {Union, types.UnionType} and set(typing.get_args(hint)) == {
        bool,
        int,
        float,
        str,
    }


@functools.cache
def is_values(hint: Any) -> bool:
    """True for named values."""
    return typing.get_origin(hint) is dict


# -- values to CBOR ---------------------------------------------------------------------------
# Packers and readers are made once for each type hint: looking at hints for every message took
# more time than the signature.

Pack = Callable[[Any], Any]
Read = Callable[[Any], Any]


def _pack_scalar(value: Any) -> Scalar:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a message")
    elif isinstance(value, int):
        if not _fits_64_bits(value):
            raise ValueError(f"{value} is outside 64 bits")
    elif not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no scalar")
    return typing.cast(Scalar, value)


def _pack_values(value: Values) -> list[list[Scalar]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected named values, found {type(value).__name__}")
    packed = [[name, _pack_scalar(value[name])] for name in sorted(value)]
    if not all(isinstance(name, str) for name in value):
        raise TypeError("a name that is no text")
    return packed


def _pack_float(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} has no place in a message")
    return number


def _plain_packer(hint: Any) -> Pack:
    base = getattr(hint, "__supertype__", hint)  # NewType over int
    if base is int:
        first, last = _limits(hint)

        def pack_integer(value: Any) -> Any:
            if not isinstance(value, int) or value is True or value is False:
                raise TypeError(f"expected int, found {type(value).__name__}")
            if not first <= value <= last:
                raise ValueError(f"{value} is not between {first} and {last}")
            return value

        return pack_integer

    def pack(value: Any) -> Any:
        if not isinstance(value, base):
            raise TypeError(f"expected {base.__name__}, found {type(value).__name__}")
        return value

    return pack


def _word_packer(words: type[StrEnum]) -> Pack:
    def pack(value: Any) -> str:
        if not isinstance(value, words):
            raise TypeError(f"{value!r} is no {words.__name__}")
        return value.value

    return pack


def _record_packer(record: type) -> Pack:
    def pack(value: Any) -> Any:
        if not isinstance(value, record):
            raise TypeError(f"expected {record.__name__}, found {type(value).__name__}")
        return to_map(value)

    return pack


@functools.cache
def _packer(hint: Any) -> Pack:
    """Return what turns a value of this type into plain CBOR, such that a reader takes it."""
    hint, _ = optional(hint)
    if dataclasses.is_dataclass(hint):
        return _record_packer(typing.cast(type, hint))
    if is_scalar(hint):
        return _pack_scalar
    if is_values(hint):
        return _pack_values
    if typing.get_origin(hint) is tuple:
        pack = _packer(typing.get_args(hint)[0])
        return lambda value: [pack(item) for item in value]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _word_packer(hint)
    return _pack_float if hint is float else _plain_packer(hint)


@functools.cache
def _packers(record: Any) -> tuple[tuple[str, int, Pack, bool], ...]:
    return tuple(
        (f.name, f.key, _packer(f.hint), optional(f.hint)[1] or not f.is_required)
        for f in plan(record)
    )


def to_map(record: Any) -> dict[int, Any]:
    """Return a record as a map of integer keys, absent (None) fields left out.

    Whatever passes can be read by :func:`from_map`; a value that no reader would take raises
    TypeError or ValueError.
    """
    packed: dict[int, Any] = {}
    kind: Any = type(record)
    for name, key, pack, may_be_absent in _packers(kind):
        value = getattr(record, name)
        if value is not None:
            packed[key] = pack(value)
        elif not may_be_absent:
            raise TypeError(f"{name} is missing")
    return packed


class _Encoder(threading.local):
    """One encoder for each thread: making one costs as much as a message."""

    def __init__(self) -> None:
        self.encode = cbor2.CBOREncoder(BytesIO(), canonical=True).encode_to_bytes


_encoder = _Encoder()


def encode(value: Any) -> bytes:
    """Encode plain CBOR values deterministically (RFC 8949 section 4.2.1)."""
    return _encoder.encode(value)


def head(major: int, number: int) -> bytes:
    """First bytes of a CBOR item (RFC 8949 section 3) in their shortest form.

    ``major`` is the type, shifted into its place: 0x00 unsigned, 0x20 negative, 0x40 bytes, 0x60
    text, 0x80 array, 0xA0 map.
    """
    if number < 24:
        return bytes((major | number,))
    for more, size in ((24, 1), (25, 2), (26, 4)):
        if number < 1 << 8 * size:
            return bytes((major | more,)) + number.to_bytes(size, "big")
    return bytes((major | 27,)) + number.to_bytes(8, "big")


def integer_item(value: int) -> bytes:
    """One integer, deterministically encoded; raises OverflowError beyond 64 bits."""
    return head(0x00, value) if value >= 0 else head(0x20, -1 - value)


def bytes_item(value: bytes) -> bytes:
    """One byte string, deterministically encoded."""
    return head(0x40, len(value)) + value


def text_item(value: str) -> bytes:
    """One text, deterministically encoded."""
    raw = value.encode()
    return head(0x60, len(raw)) + raw


# -- CBOR to values ---------------------------------------------------------------------------


def decode(raw: bytes, place: str = "") -> Any:
    """Decode one deterministic CBOR item; duplicates, trailing bytes and long forms are refused."""
    if len(raw) > MAX_MESSAGE_BYTES:
        raise DecodeError(place, f"{len(raw)} bytes, at most {MAX_MESSAGE_BYTES} are taken")
    try:
        value = cbor2.loads(raw)
        again = encode(value)
    except RecursionError as error:
        raise DecodeError(place, "nested too deeply") from error
    except (
        cbor2.CBORError, ValueError, TypeError, LookupError, ArithmeticError,
        RuntimeError,  # a tag that holds itself, as the key of a map
    ) as error:  # fmt: skip
        raise DecodeError(place, f"no valid CBOR: {error}") from error
    if again != raw:
        raise DecodeError(place, "not in deterministic form")
    return value


def check_time(wall: int, mono: int) -> None:
    """Raise ValueError for times that no reader would take."""
    if not (_FIRST_MOMENT <= wall <= _LAST_MOMENT and _fits_64_bits(mono)):
        raise ValueError(f"wall time {wall} or monotonic time {mono} cannot be written")


def _limits(hint: Any) -> tuple[int, int]:
    """First and last integer that a field of this type takes."""
    return (_FIRST_MOMENT, _LAST_MOMENT) if hint is UnixMicros else (-(2**63), 2**63 - 1)


def _fits_64_bits(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _read_scalar(value: Any) -> Scalar:
    if not isinstance(value, bool | int | float | str):
        raise DecodeError("", f"{type(value).__name__} is no scalar")
    if isinstance(value, int) and not _fits_64_bits(value):
        raise DecodeError("", "outside 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise DecodeError("", f"{value} has no place in a message")
    return value


def _read_values(value: Any) -> Values:
    if not isinstance(value, list):
        raise DecodeError("", "expected pairs of name and value")
    values: Values = {}
    for index, pair in enumerate(value):
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise DecodeError(f"[{index}]", "expected [name, value]")
        try:
            values[pair[0]] = _read_scalar(pair[1])
        except DecodeError as error:
            raise error.below(f"[{index}]") from None
    if list(values) != sorted(values) or len(values) != len(value):
        raise DecodeError("", "names are not sorted and unique")
    return values


def _tuple_reader(hint: Any) -> Read:
    read_item = _reader(hint)

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise DecodeError("", "expected an array")
        items: list[Any] = []
        for item in value:
            try:
                items.append(read_item(item))
            except DecodeError as error:
                raise error.below(f"[{len(items)}]") from None
        return tuple(items)

    return read


def _word_reader(words: type[StrEnum]) -> Read:
    known = {word.value: word for word in words}

    def read(value: Any) -> StrEnum:
        word = known.get(value) if isinstance(value, str) else None
        if word is None:
            raise DecodeError("", f"{value!r} is no {words.__name__}")
        return word

    return read


def _plain_reader(hint: Any) -> Read:
    base = getattr(hint, "__supertype__", hint)  # NewType over int
    first, last = _limits(hint)
    limit = "a time outside the years 1 to 9999" if hint is UnixMicros else "outside 64 bits"

    def read(value: Any) -> Any:
        if type(value) is not base:
            raise DecodeError("", f"expected {base.__name__}, found {type(value).__name__}")
        if base is int and not first <= value <= last:
            raise DecodeError("", limit)
        if base is float and not math.isfinite(value):
            raise DecodeError("", f"{value} has no place in a message")
        return value

    return read


@functools.cache
def _reader(hint: Any) -> Read:
    """Return what checks a decoded value of this type; it raises DecodeError."""
    hint, _ = optional(hint)
    if is_scalar(hint):
        return _read_scalar
    if dataclasses.is_dataclass(hint):
        return functools.partial(_read_record, typing.cast(type, hint))
    if is_values(hint):
        return _read_values
    if typing.get_origin(hint) is tuple:
        return _tuple_reader(typing.get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _word_reader(hint)
    return _plain_reader(hint)


@functools.cache
def _readers(record: Any) -> tuple[tuple[FieldPlan, bool, Read], ...]:
    return tuple((f, optional(f.hint)[1], _reader(f.hint)) for f in plan(record))


def _read_record(record: type[R], value: Any) -> R:
    if not isinstance(value, dict):
        raise DecodeError("", f"expected a map for {record.__name__}")
    arguments: dict[str, Any] = {}
    kind: Any = record
    for field, may_be_absent, read in _readers(kind):
        if field.key in value:
            try:
                arguments[field.name] = read(value[field.key])
            except DecodeError as error:
                raise error.below(field.name) from None
        elif may_be_absent:
            arguments[field.name] = None
        elif field.is_required:
            raise DecodeError(field.name, "missing")
    try:
        return record(**arguments)
    except ValueError as error:  # a record's own __post_init__ check
        raise DecodeError("", str(error)) from error


def from_map(record: type[R], value: Any, place: str = "") -> R:
    """Build a record from a decoded map; unknown keys are passed over (fields may be added)."""
    try:
        return _read_record(record, value)
    except DecodeError as error:
        raise error.below(place) from error


# -- JSON view --------------------------------------------------------------------------------


def rfc3339(time: UnixMicros) -> str:
    """UTC time with microseconds, e.g. ``2026-01-02T03:04:05.000006Z``."""
    return (_EPOCH + dt.timedelta(microseconds=int(time))).isoformat(timespec="microseconds") + "Z"


_word_of = operator.attrgetter("_value_")  # as .value, without the detour over a property


@functools.cache
def _viewer(hint: Any) -> Pack | None:
    """Return what turns a value of this type, which is not None, into its JSON view.

    None: it is its own view.
    """
    hint, _ = optional(hint)
    if dataclasses.is_dataclass(hint):
        return to_json
    if is_values(hint):
        return lambda value: dict(sorted(value.items()))
    if typing.get_origin(hint) is tuple:
        view = _viewer(typing.get_args(hint)[0])
        return list if view is None else lambda value: [view(item) for item in value]
    if hint is UnixMicros:
        return rfc3339
    if hint is bytes:
        return bytes.hex
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _word_of
    return None


@functools.cache
def _viewers(record: Any) -> tuple[tuple[str, Pack | None], ...]:
    return tuple((field.name, _viewer(field.hint)) for field in plan(record))


def to_json(record: Any) -> dict[str, Any]:
    """Return the JSON view: field names, RFC 3339 times, bytes as hex, absent fields as null."""
    view: dict[str, Any] = {}
    kind: Any = type(record)
    for name, show in _viewers(kind):
        value = getattr(record, name)
        view[name] = value if value is None or show is None else show(value)
    return view


_SCHEMA_OF: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base16", "pattern": "^([0-9a-f]{2})*$"},
    UnixMicros: {"type": "string", "format": "date-time"},
}
_SCALAR_SCHEMA: dict[str, Any] = {"type": ["boolean", "integer", "number", "string"]}


def json_schema(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the JSON view of a record class or of a field's type."""
    bare, may_be_null = optional(hint)
    if dataclasses.is_dataclass(bare):
        schema = _record_schema(typing.cast(type, bare))
    elif is_values(bare):
        schema = {"type": "object", "additionalProperties": _SCALAR_SCHEMA}
    elif is_scalar(bare):
        schema = dict(_SCALAR_SCHEMA)
    elif typing.get_origin(bare) is tuple:
        schema = {"type": "array", "items": json_schema(typing.get_args(bare)[0])}
    elif isinstance(bare, type) and issubclass(bare, StrEnum):
        schema = {"enum": [word.value for word in bare]}
    else:
        schema = dict(_SCHEMA_OF[bare if bare in _SCHEMA_OF else bare.__supertype__])
    return {"anyOf": [schema, {"type": "null"}]} if may_be_null else schema


def _record_schema(record: type) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in plan(record):
        properties[field.name] = {
            **json_schema(field.hint),
            "description": field.meaning,
            "x-cbor-key": field.key,
        }
    return {
        "type": "object",
        "title": record.__name__,
        "description": (record.__doc__ or "").split("\n")[0],
        "properties": properties,
        "required": [f.name for f in plan(record)],
    }
