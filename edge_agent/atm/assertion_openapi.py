"""OpenAPI document of the face assertion service; run as a module it writes it to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from atm_face.policy import Business
from contract.words import Decision, PinVerdict
from edge_agent.atm.assertions import MAX_AMOUNT_FEN, Refusal
from hardware.cameras.interface import ChallengeKind


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_BOTH = _object(["zh", "en"], zh=_TEXT, en=_TEXT)
_PROMPTS = {
    "type": "array",
    "items": _object(["prompt", "zh", "en"], prompt=_TEXT, zh=_TEXT, en=_TEXT),
}

_BUSINESS = {
    "enum": [one.value for one in Business if one is not Business.DEPOSIT],
    "default": Business.WITHDRAW.value,
}
QUESTION = _object([], business=_BUSINESS)
QUESTIONED = _object(["prompts", "read_s"], prompts=_PROMPTS, read_s={"type": "integer"})
BEGIN = _object(["pan"], pan={"type": "string", "pattern": "^[0-9]{12,19}$"})
BEGUN = _object(
    ["session", "challenge", "expires_at"],
    session={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    challenge={"enum": [one.value for one in ChallengeKind]},
    expires_at=_TIME,
)
CAPTURED = _object(["prompts"], prompts=_PROMPTS)
CHALLENGED = _object(["done"], done={"type": "boolean"})
ASK = _object(
    ["stan", "amount_fen", "nonce", "pin"],
    stan={"type": "string", "pattern": "^[0-9]{6}$"},
    amount_fen={"type": "integer", "minimum": 1, "maximum": MAX_AMOUNT_FEN},
    currency={"type": "string", "pattern": "^[A-Z]{3}$", "default": "CNY"},
    nonce={"type": "string", "pattern": "^([0-9a-fA-F]{2}){16,32}$"},
    pin={"enum": [one.value for one in PinVerdict]},
    business=_BUSINESS,
    payee={"type": "string", "pattern": "^[0-9]{12,19}$"},
    confirmed={"type": "boolean"},
)
DECIDED = _object(
    ["decision", "screen", "prompts"],
    decision={"enum": [one.value for one in Decision]},
    screen=_BOTH,
    prompts=_PROMPTS,
    assertion={"type": "string", "maxLength": 999},
    expires_at=_TIME,
    delay_s={"type": "integer", "minimum": 1},
    is_revocable={"type": "boolean"},
)
REFUSED = _object(
    ["error", "detail"],
    error={"enum": [*(one.value for one in Refusal), "bad_request", "failed"]},
    detail=_TEXT,
)


def _json(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _call(summary: str, status: str, reply: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    good = {"description": summary} if reply is None else _json(reply, summary)
    return {
        "summary": summary,
        "responses": {status: good, "default": _json(REFUSED, "not carried out")},
        **more,
    }


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_ID = [
    {"name": "session", "in": "path", "required": True, "schema": BEGUN["properties"]["session"]}
]


def openapi_document() -> dict[str, Any]:
    """Return the document."""
    session = "/v1/sessions/{session}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Qianshao face assertion service",
            "version": "1",
            "description": "Unix socket, or loopback with mutual TLS. See integration-bank.md.",
        },
        "paths": {
            "/v1/sessions": {
                "post": _call("begin a session", "201", BEGUN, requestBody=_body(BEGIN))
            },
            session: {
                "parameters": _ID,
                "delete": _call("end a session without a decision", "204", None),
            },
            f"{session}/capture": {
                "parameters": _ID,
                "post": _call("take a picture", "200", CAPTURED),
            },
            f"{session}/challenge": {
                "parameters": _ID,
                "post": _call("run the challenge", "200", CHALLENGED),
            },
            f"{session}/question": {
                "parameters": _ID,
                "post": _call(
                    "what the customer reads and answers before this business",
                    "200",
                    QUESTIONED,
                    requestBody=_body(QUESTION),
                ),
            },
            f"{session}/decision": {
                "parameters": _ID,
                "post": _call(
                    "decide, and sign if it is allowed; the session is over",
                    "200",
                    DECIDED,
                    requestBody=_body(ASK),
                ),
            },
        },
    }


def main() -> None:
    """Write the document to the path named on the command line."""
    path = Path(sys.argv[1])
    text = json.dumps(openapi_document(), ensure_ascii=False, indent=1) + "\n"
    path.write_text(text, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
