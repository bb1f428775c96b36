"""Positions for other programs: GeoJSON in the shape of OGC API Features, and Cursor on Target."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response
from typing_extensions import TypedDict

from central import cot
from central.actor import Actor
from central.people.permissions import Permission
from central.places import Basis, Place, place_of_alert, place_of_device, places_of
from central.store.interface import AlertRow
from central.store.triage import AlertStand
from central.views import alert_json, device_json
from central.web.access import needs
from central.web.problems import PROBLEMS
from central.web.reach import covers_alert
from central.web.site import Site, SiteOf

router = APIRouter(prefix="/api", responses=PROBLEMS)

MAX_ITEMS = 1000
_SCANNED = 5000
_PAGE = 500
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_CONFORMS = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
]
MapReader = Annotated[Actor, needs(Permission.MAP_READ)]
Exporter = Annotated[Actor, needs(Permission.EXPORT)]
_LON = r"-?(180|1[0-7][0-9](\.[0-9]{1,10})?|[0-9]{1,2}(\.[0-9]{1,10})?)"
_LAT = r"-?(90|[0-8]?[0-9](\.[0-9]{1,10})?)"
BBox = Annotated[
    str | None,
    Query(pattern=f"^{_LON},{_LAT},{_LON},{_LAT}$", description="west,south,east,north in degrees"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS)]
CollectionId = Literal["alerts", "devices"]
Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


class Link(TypedDict):
    """A link of OGC API Features."""

    href: str
    rel: str
    type: str


class Landing(TypedDict):
    """Where to go on from."""

    title: str
    links: list[Link]


class Conformance(TypedDict):
    """What is conformed to."""

    conformsTo: list[str]


class Collection(TypedDict):
    """One kind of feature."""

    id: CollectionId
    title: str
    crs: list[str]
    links: list[Link]


class Collections(TypedDict):
    """All kinds of feature."""

    collections: list[Collection]
    links: list[Link]


class Point(TypedDict):
    """A GeoJSON point: longitude, latitude (RFC 7946)."""

    type: Literal["Point"]
    coordinates: list[float]


class Feature(TypedDict):
    """A GeoJSON feature."""

    type: Literal["Feature"]
    id: str
    geometry: Point
    properties: dict[str, Any]


class FeatureCollection(TypedDict):
    """A GeoJSON feature collection."""

    type: Literal["FeatureCollection"]
    features: list[Feature]
    numberReturned: int
    links: list[Link]


def _link(path: str, rel: str, kind: str = "application/json") -> Link:
    return Link(href=path, rel=rel, type=kind)


def _collection(name: CollectionId) -> Collection:
    items = _link(f"/api/features/collections/{name}/items", "items", "application/geo+json")
    return Collection(id=name, title=name, crs=[_CRS84], links=[items])


@router.get("/features")
def landing(actor: MapReader) -> Landing:
    """Landing page of the features."""
    return Landing(
        title="Qianshao",
        links=[
            _link("/api/features", "self"),
            _link("/api/features/conformance", "conformance"),
            _link("/api/features/collections", "data"),
            _link("/api/openapi.json", "service-desc"),
        ],
    )


@router.get("/features/conformance")
def conformance(actor: MapReader) -> Conformance:
    """Classes of OGC API Features that this conforms to."""
    return Conformance(conformsTo=_CONFORMS)


@router.get("/features/collections")
def collections(actor: MapReader) -> Collections:
    """All collections."""
    return Collections(
        collections=[_collection("alerts"), _collection("devices")],
        links=[_link("/api/features/collections", "self")],
    )


@router.get("/features/collections/{collection}")
def collection(actor: MapReader, collection: CollectionId) -> Collection:
    """One collection."""
    return _collection(collection)


@router.get(
    "/features/collections/{collection}/items",
    response_class=Response,
    responses={200: {"model": FeatureCollection, "content": {"application/geo+json": {}}}},
)
def items(
    site: SiteOf, actor: MapReader, collection: CollectionId, limit: Limit = 500, bbox: BBox = None
) -> Response:
    """Features of a collection, the newest first; only those whose position is known."""
    box = _box(bbox)
    if collection == "alerts":
        features = alert_features(site, actor, limit, box)
    else:
        near = (
            f for f in device_features(site, actor) if _holds(box, f["geometry"]["coordinates"])
        )
        features = list(islice(near, limit))
    body = FeatureCollection(
        type="FeatureCollection",
        features=features,
        numberReturned=len(features),
        links=[_link(f"/api/features/collections/{collection}/items", "self")],
    )
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/geo+json")


def _newest(site: Site, actor: Actor) -> Iterator[AlertRow]:
    """Alerts of one's areas by pages, the newest first, no more than are worth looking through."""
    before, looked_at = None, 0
    while looked_at < _SCANNED:
        page = site.store.alerts(_PAGE, before, actor.areas)
        yield from page
        if len(page) < _PAGE:
            return
        before, looked_at = page[-1].id, looked_at + len(page)


def alert_features(site: Site, actor: Actor, limit: int, box: Box | None) -> list[Feature]:
    """Alerts that have a position; only those that are shown are read as a whole."""
    stations = places_of(site.store.devices(), site.settings.places)
    places: dict[int, tuple[Place, Basis]] = {}
    for stand in _stands(site, actor):
        found = place_of_alert(stand, stations)
        if found is not None and _holds(box, (found[0].lon, found[0].lat)):
            places[stand.id] = found
            if len(places) == limit:
                break
    features = []
    for row in site.store.alerts_of(list(places)):
        place, basis = places[row.id]
        properties = {**alert_json(row), **_about(place), "position": basis.value}
        features.append(_feature(f"alert-{row.id}", place, properties))
    return features


def _stands(site: Site, actor: Actor) -> Iterator[AlertStand]:
    """Where alerts are, by pages, the newest first, no more than are worth looking through."""
    before, looked_at = None, 0
    while looked_at < _SCANNED:
        page = site.store.alert_stands(_PAGE, before, actor.areas)
        yield from page
        if len(page) < _PAGE:
            return
        before, looked_at = page[-1].id, looked_at + len(page)


def device_features(site: Site, actor: Actor) -> Iterator[Feature]:
    """Devices that have a position."""
    reach = site.reach(actor)
    for row in filter(reach.covers_device, site.store.devices()):
        place = place_of_device(row, site.settings.places)
        if place is not None:
            view = device_json(row)
            view.pop("health")
            yield _feature(f"device-{row.device}", place, {**view, **_about(place)})


def _about(place: Place) -> dict[str, Any]:
    return {} if place.radius_m is None else {"radius_m": place.radius_m}


def _feature(name: str, place: Place, properties: dict[str, Any]) -> Feature:
    point = Point(type="Point", coordinates=[place.lon, place.lat])
    return Feature(type="Feature", id=name, geometry=point, properties=properties)


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    west, south, east, north = (float(part) for part in text.split(","))
    return west, south, east, north


def _holds(box: Box | None, position: Sequence[float]) -> bool:
    """Whether a point lies in a box; west greater than east means across 180 degrees."""
    if box is None:
        return True
    west, south, east, north = box
    lon, lat = position
    is_between = west <= lon <= east if west <= east else lon >= west or lon <= east
    return is_between and south <= lat <= north


_COT: dict[int | str, dict[str, Any]] = {200: {"content": {"application/xml": {}}}}


@router.get("/alerts/{alert_id}/cot", response_class=Response, responses=_COT)
def alert_cot(
    site: SiteOf, actor: Exporter, alert_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> Response:
    """One alert as a Cursor on Target event; 404 where its position is not known."""
    row = site.store.alert(alert_id)
    if row is None or not covers_alert(actor, row):
        raise HTTPException(404, f"there is no alert {alert_id}")
    text = _event(site, row)
    if text is None:
        raise HTTPException(404, f"the position of alert {alert_id} is not known")
    return Response(text, media_type="application/xml")


@router.get("/cot", response_class=Response, responses=_COT)
def all_cot(site: SiteOf, actor: Exporter, limit: Limit = 100) -> Response:
    """Alerts that have a position as Cursor on Target events in one document."""
    events = (text for row in _newest(site, actor) if (text := _event(site, row)) is not None)
    return Response(cot.document(list(islice(events, limit))), media_type="application/xml")


def _event(site: Site, row: AlertRow) -> str | None:
    device = site.store.device(row.device)
    stations = places_of([] if device is None else [device], site.settings.places)
    found: tuple[Place, Basis] | None = place_of_alert(row, stations)
    if found is None:
        return None
    return cot.event(row, *found, site.settings.tenant, site.clock.wall())
