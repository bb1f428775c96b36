"""Generated documents of the contract: JSON Schema of the messages, AsyncAPI of the topics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from contract.codec import json_schema
from contract.envelope import CONTENT_TYPE, Payload
from contract.messages import BODY_TYPES
from contract.orders import RULES, Order
from contract.topics import Channel, Lane

CHANNELS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "evidence": (
        f"v1/{{tenant}}/up/{{device}}/{Lane.EVIDENCE.value}",
        "send",
        ("detection",),
        "Detections, QoS 1; kept by the device until a signed receipt covers them.",
    ),
    "decisions": (
        f"v1/{{tenant}}/up/{{device}}/{Lane.DECISIONS.value}",
        "send",
        ("withdrawal_decision", "order_result", "visit_link_report"),
        "Decisions of an ATM, what a device did with its orders and which visits it linked under "
        "one, QoS 1; kept until a signed receipt covers them.",
    ),
    "health": (
        f"v1/{{tenant}}/up/{{device}}/{Lane.HEALTH.value}",
        "send",
        ("health",),
        "An agent's report about itself, QoS 1.",
    ),
    "state": (
        "v1/{tenant}/state/{device}",
        "send",
        ("state",),
        "Birth (retained) and last will, QoS 1.",
    ),
    "receipts": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.RECEIPTS.value}",
        "receive",
        ("receipt",),
        "What the central has committed to its store, signed by the central, QoS 1.",
    ),
    "orders": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.ORDERS.value}",
        "receive",
        ("order_delivery",),
        "Orders signed by two different officers, each in a delivery signed by the central, QoS 1.",
    ),
    "commands": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.COMMANDS.value}",
        "receive",
        ("order_delivery",),
        "Commands signed by the central, QoS 1.",
    ),
    "configuration": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.CONFIGURATION.value}",
        "receive",
        ("order_delivery",),
        "Versioned bundles: officers' keys, settings. QoS 1.",
    ),
    "time": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.TIME.value}",
        "receive",
        ("time_hint",),
        "The central's time with an echo that bounds it, QoS 1.",
    ),
    "lists": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.LISTS.value}",
        "receive",
        ("list_notice",),
        "Which list of accounts is in force, with a delta from the one before, QoS 1.",
    ),
    "feeds": (
        f"v1/{{tenant}}/down/{{device}}/{Channel.FEEDS.value}",
        "receive",
        ("feed_receipt",),
        "What became of a member unit's feed, with the lines that were refused, QoS 1.",
    ),
}
"""Channel name to (address, direction seen from the device, message types, sentence)."""


def schemas() -> dict[str, Any]:
    """Return one JSON Schema document for all records."""
    bodies = {rule.body for rule in RULES.values()}
    records: dict[str, type] = {"payload": Payload, **BODY_TYPES, "order": Order}
    records |= {f"order_{body.__name__}": body for body in sorted(bodies, key=lambda b: b.__name__)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:qianshao:contract:1",
        "title": "Qianshao messages, JSON view (the wire is COSE_Sign1 over deterministic CBOR)",
        "$defs": {name: json_schema(record) for name, record in records.items()},
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the topics, seen from a device."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, (address, action, types, sentence) in CHANNELS.items():
        parameters = {p: {"description": f"{p} id"} for p in ("tenant", "device")}
        channels[name] = {
            "address": address,
            "description": sentence,
            "parameters": parameters,
            "messages": {t: {"$ref": f"#/components/messages/{t}"} for t in types},
        }
        operations[name] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
    messages = {
        name: {"name": name, "contentType": CONTENT_TYPE, "payload": json_schema(record)}
        for name, record in BODY_TYPES.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Qianshao",
            "version": "1",
            "description": "Each MQTT payload is a COSE_Sign1 whose payload map is Payload plus "
            "the body under key 11; x-cbor-key gives each field's integer key.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"Payload": json_schema(Payload)}},
    }


def documents() -> dict[str, str]:
    """Return file name to text of every generated document."""

    def text(value: Any) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

    return {"messages.schema.json": text(schemas()), "asyncapi.json": text(asyncapi())}


def main() -> None:
    """Write the documents into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_text(content, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
