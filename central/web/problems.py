"""How the API says that something was not done: problem details (RFC 9457)."""

from __future__ import annotations

from typing import Any


def _problem(sentence: str) -> dict[str, Any]:
    return {"description": sentence, "content": {"application/problem+json": {"schema": _REF}}}


_REF = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _problem("The request cannot be read."),
    401: _problem("Nobody is signed in."),
    403: _problem("The person's roles do not include this."),
    404: _problem("There is no such thing."),
    422: _problem("A parameter is not as it must be."),
    503: _problem("The store is not available now."),
}
"""Answers that every route of the API may give."""
