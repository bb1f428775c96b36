"""Cursor on Target: an alert with a position as an event that TAK clients show.

A suspicion is ``a-u-G-E-S`` (unknown ground sensor equipment) and never hostile. ``ce`` encloses
the whole region (MITRE CoT_shape.xsd) because some clients draw no ellipse on a marker. The link to
the station stands before any other, since servers take the first one for the parent.
"""

from __future__ import annotations

import datetime as dt
from xml.etree import ElementTree as ET

from central.places import Basis, Place
from central.store.interface import AlertRow
from contract.clock import UnixMicros
from contract.codec import rfc3339

TYPE = "a-u-G-E-S"
UNKNOWN = "9999999.0"
"""What CoT writes where nothing is known."""
STATION_CE_M = 5000.0
"""An emitter that was only heard is taken to be within this of the station."""
STALE_S = 3600

_OPEN = "urn:qianshao:alert:"


def event(row: AlertRow, place: Place, basis: Basis, tenant: str, now: int) -> str:
    """Return one ``<event>`` as XML text; one that is over is stale at once, and so withdrawn."""
    radius_m = place.radius_m
    if radius_m is None and basis is Basis.STATION:
        radius_m = STATION_CE_M
    is_over = row.state in {"DISMISSED", "CLOSED", "CLEARED"}
    stale = now - 1_000_000 if is_over else now + STALE_S * 1_000_000
    root = ET.Element(
        "event",
        version="2.0",
        uid=f"{_OPEN}{tenant}:{row.id}",
        type=TYPE,
        how="m-r",
        time=_time(now),
        start=_time(now),
        stale=_time(stale),
    )
    ET.SubElement(
        root,
        "point",
        lat=f"{place.lat:.7f}",
        lon=f"{place.lon:.7f}",
        hae=UNKNOWN,
        ce=UNKNOWN if radius_m is None else f"{radius_m:.1f}",
        le=UNKNOWN,
    )
    detail = ET.SubElement(root, "detail")
    # TAK servers key on it: one callsign for one uid.
    ET.SubElement(detail, "contact", callsign=f"{row.kind.value} {tenant}-{row.id}")
    ET.SubElement(detail, "precisionlocation", geopointsrc="CALC", altsrc="???")
    ET.SubElement(detail, "link", uid=f"{tenant}:{row.device}", type="a-f-G-E-V", relation="p-p")
    remarks = ET.SubElement(detail, "remarks")
    subject = ", ".join(f"{name} {value}" for name, value in sorted(row.subject.items()))
    remarks.text = _printable(f"{row.level.value} {row.kind.value}: {subject} ({basis.value})")
    return ET.tostring(root, encoding="unicode")


def document(events: list[str]) -> str:
    """Return several events as one document."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n<events>' + "".join(events) + "</events>\n"


def _time(at: int) -> str:
    text = rfc3339(UnixMicros(at))
    moment = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _printable(text: str) -> str:
    """Leave out what XML 1.0 has no way to write."""
    return "".join(c for c in text if c.isprintable() or c == " ")
