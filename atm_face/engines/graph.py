"""Opens an ONNX graph in onnxruntime, also one whose weights are declared as inputs.

The published SFace graph lists 175 of its own weights as graph inputs and keeps them
block-quantised; onnxruntime then refuses to run it. Read as plain protobuf (onnx.proto:
ModelProto.graph is field 7, GraphProto.input field 11, ValueInfoProto.name field 1), the false
inputs are left out, and the session unfolds the weights to float32 once, when it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from atm_face.opencv import EngineError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GRAPH, _GRAPH_INPUT, _NAME = 7, 11, 1
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class GraphError(EngineError):
    """The bytes are not an ONNX graph that this engine can run."""


def without_false_inputs(model: bytes, keep: str) -> bytes:
    """Return the model with ``keep`` as its only graph input; raises GraphError with the offset."""
    parts: list[bytes] = []
    for number, whole, body in _fields(model):
        if number != _GRAPH:
            parts.append(whole)
            continue
        kept = b"".join(
            item
            for field, item, inner in _fields(body)
            if field != _GRAPH_INPUT or _name_of(inner) == keep.encode()
        )
        parts += [bytes([_GRAPH << 3 | _LENGTH]), _varint(len(kept)), kept]
    return b"".join(parts)


def open_graph(model: bytes, *, unfold: bool = True) -> Any:
    """Open a session of one thread on the processor; raises GraphError for what it refuses."""
    if find_spec("onnxruntime") is None:
        raise MissingExtraError("onnxruntime")
    onnxruntime: Any = import_module("onnxruntime")  # it exports its classes without saying so
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it refuses arrives as an exception, with its reason
    # The arena keeps the largest size ever asked for; a visit a minute does not need one.
    options.enable_cpu_mem_arena = False
    if unfold:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its dozen types share no base
        raise GraphError(f"onnxruntime refuses the graph: {str(error)[:200]}") from error


def run_graph(session: Any, blob: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a graph of one input and return its first output, flat."""
    import numpy as np

    result = session.run(None, {session.get_inputs()[0].name: blob})[0]
    return np.asarray(result, dtype=np.float32).ravel()


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(field number, the field with its tag, its body) of each field of a protobuf message."""
    offset = 0
    while offset < len(message):
        start = offset
        tag, offset = _read_varint(message, offset)
        kind, body_from = tag & 7, offset
        if kind == _VARINT:
            _, offset = _read_varint(message, offset)
        elif kind in {_FIXED64, _FIXED32}:
            offset += 8 if kind == _FIXED64 else 4
        elif kind == _LENGTH:
            length, body_from = _read_varint(message, offset)
            offset = body_from + length
        else:
            raise GraphError(f"not an ONNX graph: wire type {kind} at offset {start}")
        if offset > len(message):
            raise GraphError(f"the ONNX graph ends inside a field at offset {start}")
        yield tag >> 3, message[start:offset], message[body_from:offset]


def _name_of(value_info: bytes) -> bytes:
    return next((body for number, _, body in _fields(value_info) if number == _NAME), b"")


def _read_varint(message: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(message):
            raise GraphError(f"the ONNX graph ends inside a number at offset {offset}")
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise GraphError(f"not an ONNX graph: a number of more than 10 bytes at offset {offset}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
