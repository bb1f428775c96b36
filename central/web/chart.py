"""Pages that show where things are and how much is going on: the overview and the map."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import FileResponse, Response

from central.actor import Actor
from central.alert_states import OPEN
from central.alerts import where_of
from central.people.permissions import Permission
from central.places import STATED, Basis, Place, place_of_alert, places_of
from central.store.interface import AlertRow, DetectionRow, Device, Json
from central.store.triage import AlertFilter
from central.views import alert_json, device_json
from central.web.access import needs
from central.web.present import Presenter
from central.web.site import VENDOR, Site, SiteOf
from contract.words import AlertKind, Presence, Severity

router = APIRouter(include_in_schema=False)

_SHOWN_ALERTS = 250
"""Open ones, those that rose last; the page says where there are more."""
_TRACK_POINTS = 50
"""The newest of an alert's detections that its track goes through."""
_TILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}\.pmtiles")
_LIBRARY = (
    "maplibre-gl.mjs",
    "maplibre-gl-worker.mjs",
    "maplibre-gl.css",
    "pmtiles.js",
    "land.json",
)
Counts = Mapping[tuple[AlertKind, Severity], int]
MapReader = Annotated[Actor, needs(Permission.MAP_READ)]


# -- overview -----------------------------------------------------------------------------


@router.get("/overview")
def overview(
    request: Request, site: SiteOf, actor: Annotated[Actor, needs(Permission.OVERVIEW_READ)]
) -> Response:
    """Counts for a wall: no subject, no person."""
    totals, devices = site.store.totals(), site.store.devices()
    counts = site.store.alert_kinds(actor.areas, OPEN)
    presenter = site.presenter(request)
    latest = next((row.raised_at for row in site.store.alerts(1, areas=actor.areas)), None)
    reach = site.reach(actor)
    live = [d for d in devices if d.revoked_at is None and reach.covers_device(d)]
    return site.page(
        request,
        "overview.html",
        severities=[(word, _count(counts, word)) for word in ("critical", "high", "warning")],
        kinds=_by_kind(presenter, counts),
        totals=totals,
        online=sum(d.presence is Presence.ONLINE for d in live),
        devices=len(live),
        trouble_devices=[
            presenter.device(device_json(d)) for d in live if d.presence is not Presence.ONLINE
        ],
        latest_text="" if latest is None else presenter.moment(latest),
        now_text=presenter.moment(site.clock.wall()),
    )


def _count(counts: Counts, severity: str) -> int:
    return sum(n for (_, found), n in counts.items() if found.value == severity)


def _by_kind(presenter: Presenter, counts: Counts) -> list[tuple[str, int]]:
    kinds: Counter[str] = Counter()
    for (kind, _), n in counts.items():
        kinds[kind.value] += n
    named = [(presenter.words.word("alert", kind), n) for kind, n in kinds.items()]
    return sorted(named, key=lambda pair: (-pair[1], pair[0]))


# -- map -----------------------------------------------------------------------------


@router.get("/map")
def chart(request: Request, site: SiteOf, actor: MapReader) -> Response:
    """Return the map, and the same as a table for who has no script or no pointer."""
    return site.page(
        request,
        "map.html",
        has_library=all((VENDOR / name).is_file() for name in _LIBRARY),
        tiles=[path.name for path in tile_files(site)],
        **_shown(site, site.presenter(request), actor),
    )


@router.get("/map/data")
def data(request: Request, site: SiteOf, actor: MapReader) -> Json:
    """Return what the map shows, in the reader's language."""
    return _shown(site, site.presenter(request), actor)


def _shown(site: Site, presenter: Presenter, actor: Actor) -> Json:
    devices = site.store.devices()
    stations = places_of(devices, site.settings.places)
    reach = site.reach(actor)
    alerts: list[Json] = []
    unplaced = 0
    located: list[AlertRow] = []
    open_ones = AlertFilter(areas=actor.areas, states=tuple(state.value for state in OPEN))
    page = site.store.alert_page(open_ones, _SHOWN_ALERTS)
    for row in page.rows:
        found = place_of_alert(row, stations)
        if found is None:
            unplaced += 1
            continue
        place, basis = found
        view = presenter.alert(alert_json(row))
        alerts.append(
            {
                **{name: view[name] for name in ("id", "href", "title", "severity", "raised_at")},
                "severity_text": view["severity_text"],
                "raised_text": view["raised_text"],
                "station": view["station"],
                "subject": presenter.pairs(
                    {name: value for name, value in row.subject.items() if name not in STATED}
                ),
                "basis": basis.value,
                "basis_text": presenter.words.word("position", basis.value),
                **_position(place),
            }
        )
        if basis is Basis.EMITTER:
            located.append(row)
    return {
        "alerts": alerts,
        "unplaced": unplaced,
        "most": None if page.after is None else _SHOWN_ALERTS,
        "tracks": _tracks(site, located),
        "devices": [
            _device(presenter, row, where)
            for row in devices
            if row.revoked_at is None
            and reach.covers_device(row)
            and (where := stations.get(row.device)) is not None
        ],
    }


def _position(place: Place) -> Json:
    return {
        "lat": place.lat,
        "lon": place.lon,
        "radius_m": place.radius_m,
        "position_text": f"{place.lat:.5f}, {place.lon:.5f}",
    }


def _device(presenter: Presenter, row: Device, place: Place) -> Json:
    view = presenter.device(device_json(row))
    names = ("id", "href", "name", "kind_text", "presence", "presence_text", "last_seen_text")
    return {name: view[name] for name in names} | _position(place)


def _tracks(site: Site, rows: Sequence[AlertRow]) -> list[Json]:
    """Where alerts moved; all are asked for at once, for a map has hundreds."""
    found = site.store.detections_of_each([row.id for row in rows], _TRACK_POINTS)
    tracks = ((row, _track(found.get(row.id, ()))) for row in rows)
    return [
        {"id": row.id, "severity": row.severity.value, "points": points}
        for row, points in tracks
        if len(points) > 1
    ]


def _track(detections: Sequence[DetectionRow]) -> list[list[float]]:
    """Positions of an alert's detections in the order of their times."""
    points: list[list[float]] = []
    for found in sorted(detections, key=lambda d: d.last_seen):
        reasons = [reason["values"] for reason in found.body["reasons"]]
        where = where_of(found.body["subject"], reasons)
        if where:
            points.append([where["lon"], where["lat"]])
    return points


def tile_files(site: Site) -> list[FilePath]:
    """Return the PMTiles that an operator dropped into the folder."""
    folder = site.settings.tiles or site.settings.folder / "tiles"
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _TILE_NAME.fullmatch(p.name) and p.is_file())


@router.get("/map/tiles/{name}")
def tiles(site: SiteOf, actor: MapReader, name: Annotated[str, Path(max_length=80)]) -> Response:
    """Return a range of a PMTiles file."""
    for path in tile_files(site):
        if path.name == name:
            return FileResponse(path, media_type="application/vnd.pmtiles")
    raise HTTPException(404, f"there are no tiles called {name}")
