"""What Prometheus scrapes: totals and states of the central, in its text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from central.ingest import IngestStatus
from central.store.interface import Device, Totals
from central.views import outbox_depth
from contract.words import Presence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples by label."""

    name: str
    kind: str
    help: str
    samples: Iterable[tuple[Mapping[str, str], float]]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def text_of(metrics: Iterable[Metric]) -> str:
    """Return the exposition text."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in metric.samples:
            named = ",".join(f'{name}="{_escape(word)}"' for name, word in labels.items())
            lines.append(
                f"{metric.name}{{{named}}} {value:g}" if named else f"{metric.name} {value:g}"
            )
    return "\n".join(lines) + "\n"


def of_central(
    totals: Totals,
    devices: Iterable[Device],
    status: IngestStatus | None,
    listeners: int,
    audit_rows: int,
) -> list[Metric]:
    """Return the metrics of one central."""
    known = list(devices)
    plain: Mapping[str, str] = {}

    def single(name: str, kind: str, sentence: str, value: float) -> Metric:
        return Metric(f"qianshao_central_{name}", kind, sentence, [(plain, value)])

    metrics = [
        single("messages_total", "counter", "Signed messages stored.", totals.messages),
        single("detections_total", "counter", "Detections stored.", totals.detections),
        single("decisions_total", "counter", "Decisions of ATMs stored.", totals.decisions),
        single("alerts_total", "counter", "Alerts raised.", totals.alerts),
        single("duplicates_total", "counter", "Messages that came again.", totals.duplicates),
        single("refused_total", "counter", "Messages that were not taken.", totals.refused),
        single("pages_listening", "gauge", "Open event streams.", listeners),
        single("audit_rows_total", "counter", "Rows of the audit log.", audit_rows),
    ]
    if status is not None:
        connected, writable = status.is_connected, status.store_problem is None
        metrics += [
            single("broker_connected", "gauge", "1: connected to the broker.", connected),
            single("store_writable", "gauge", "1: the store takes what comes.", writable),
        ]
    metrics.append(
        Metric(
            "qianshao_device_online",
            "gauge",
            "1: the device says that it is on line.",
            [({"device": d.device}, d.presence is Presence.ONLINE) for d in known],
        )
    )
    metrics.append(
        Metric(
            "qianshao_device_last_seen_seconds",
            "gauge",
            "When the device was last heard, seconds since 1970.",
            [({"device": d.device}, d.last_seen / 1e6) for d in known if d.last_seen is not None],
        )
    )
    depths = [(d.device, outbox_depth(d.health)) for d in known]
    metrics.append(
        Metric(
            "qianshao_device_outbox_messages",
            "gauge",
            "Messages that wait in the device's outbox, by its last report.",
            [({"device": device}, depth) for device, depth in depths if depth is not None],
        )
    )
    return metrics
