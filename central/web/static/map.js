// The map: land outline, graticule and scale without any tiles; PMTiles of a folder where there are
// some. Everything is drawn from what the page's own table holds; nothing is fetched from elsewhere.

import * as maplibregl from "/static/vendor/maplibre-gl.mjs";

const REFRESH_MS = 15000;
const FADE_H = 24;
const SEVERITIES = ["critical", "high", "warning"];
const root = document.getElementById("map");
const css = getComputedStyle(document.documentElement);
const colour = (name) => css.getPropertyValue(`--${name}`).trim();

const empty = () => ({ type: "FeatureCollection", features: [] });
const point = (lon, lat, properties) => ({
  type: "Feature", properties, geometry: { type: "Point", coordinates: [lon, lat] },
});
const line = (coordinates, properties = {}) => ({
  type: "Feature", properties, geometry: { type: "LineString", coordinates },
});

// A circle on the sphere, near enough below a hundred kilometres.
function circle(lon, lat, radius, properties) {
  const ring = [];
  for (let i = 0; i <= 64; i += 1) {
    const angle = (i / 64) * 2 * Math.PI;
    const dy = (radius * Math.cos(angle)) / 111320;
    const dx = (radius * Math.sin(angle)) / (111320 * Math.max(Math.cos((lat * Math.PI) / 180), 0.01));
    ring.push([lon + dx, lat + dy]);
  }
  return { type: "Feature", properties, geometry: { type: "Polygon", coordinates: [ring] } };
}

function ageOpacity(raisedAt) {
  const hours = Math.max(0, (Date.now() - Date.parse(raisedAt)) / 3.6e6);
  return 1 - 0.65 * Math.min(hours / FADE_H, 1);
}

function degrees(value, positive, negative) {
  const text = Math.abs(value).toFixed(4).replace(/\.?0+$/, "");
  return `${text}°${value > 0 ? positive : value < 0 ? negative : ""}`;
}

// Lines at a step that leaves a handful of them on the screen.
function graticule(map) {
  const bounds = map.getBounds();
  const [west, east] = [Math.max(bounds.getWest(), -180), Math.min(bounds.getEast(), 180)];
  const [south, north] = [Math.max(bounds.getSouth(), -85), Math.min(bounds.getNorth(), 85)];
  const wanted = (east - west) / 6;
  const step = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001].find((s) => s <= wanted) ?? 0.001;
  const features = [];
  for (let i = Math.ceil(west / step); i * step <= east; i += 1) {
    const lon = i * step;
    features.push(line([[lon, south], [lon, north]]));
    features.push(point(lon, south + (north - south) * 0.02, { text: degrees(lon, "E", "W"), anchor: "center" }));
  }
  for (let i = Math.ceil(south / step); i * step <= north; i += 1) {
    const lat = i * step;
    features.push(line([[west, lat], [east, lat]]));
    features.push(point(west + (east - west) * 0.008, lat, { text: degrees(lat, "N", "S"), anchor: "left" }));
  }
  return { type: "FeatureCollection", features };
}

const severityColour = ["match", ["get", "severity"],
  "critical", colour("critical"), "high", colour("high"), colour("warning")];

const presenceColour = ["match", ["get", "presence"],
  "online", colour("good"), "offline", colour("critical"), colour("off")];

// Layers of unknown tiles: areas pale, lines as lines; water and roads by their usual names.
async function tileLayers(name) {
  const url = `${location.origin}/map/tiles/${name}`;
  const archive = new window.pmtiles.PMTiles(url);
  const [header, metadata] = [await archive.getHeader(), await archive.getMetadata()];
  const id = `tiles-${name}`;
  const source = { type: header.tileType === 1 ? "vector" : "raster", url: `pmtiles://${url}` };
  if (source.type === "raster") return { id, source, header, layers: [{ id, type: "raster", source: id }] };
  const layers = [];
  for (const layer of metadata.vector_layers ?? []) {
    const isWater = /water|ocean|sea|river/i.test(layer.id);
    const isRoad = /road|street|transport|highway/i.test(layer.id);
    const common = { source: id, "source-layer": layer.id };
    layers.push({ ...common, id: `${id}-${layer.id}-area`, type: "fill",
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "fill-color": isWater ? colour("map-water") : colour("line"), "fill-opacity": isWater ? 0.9 : 0.35 } });
    layers.push({ ...common, id: `${id}-${layer.id}-line`, type: "line",
      filter: ["==", ["geometry-type"], "LineString"],
      paint: { "line-color": isWater ? colour("map-water") : colour("off"), "line-width": isRoad ? 1.4 : 0.7 } });
    layers.push({ ...common, id: `${id}-${layer.id}-name`, type: "symbol", minzoom: 10,
      filter: ["all", ["has", "name"], ["!=", ["geometry-type"], "Polygon"]],
      layout: { "text-field": ["coalesce", ["get", "name:zh"], ["get", "name"]], "text-size": 11,
        "symbol-placement": isRoad ? "line" : "point" },
      paint: { "text-color": colour("ink"), "text-halo-color": colour("panel"), "text-halo-width": 1.2 } });
  }
  return { id, source, header, layers };
}

function style(tiles) {
  const geojson = (data, more = {}) => ({ type: "geojson", data, ...more });
  const sources = {
    land: geojson("/static/vendor/land.json"),
    graticule: geojson(empty()), regions: geojson(empty()), tracks: geojson(empty()), devices: geojson(empty()),
    alerts: geojson(empty(), { cluster: true, clusterRadius: 36, clusterMaxZoom: 15 }),
  };
  for (const tile of tiles) sources[tile.id] = tile.source;
  const isGrid = (kind) => ["==", ["geometry-type"], kind];
  return {
    version: 8,
    sources,
    layers: [
      { id: "sea", type: "background", paint: { "background-color": colour("map-water") } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": colour("map-land") } },
      { id: "coast", type: "line", source: "land", paint: { "line-color": colour("off"), "line-width": 0.8 } },
      ...tiles.flatMap((tile) => tile.layers),
      { id: "grid", type: "line", source: "graticule", filter: isGrid("LineString"), paint: { "line-color": colour("quiet"), "line-opacity": 0.35, "line-width": 0.6 } },
      { id: "grid-text", type: "symbol", source: "graticule", filter: isGrid("Point"), layout: { "text-field": ["get", "text"], "text-anchor": ["get", "anchor"], "text-size": 11 }, paint: { "text-color": colour("quiet"), "text-halo-color": colour("panel"), "text-halo-width": 1 } },
      { id: "regions", type: "fill", source: "regions", paint: { "fill-color": severityColour, "fill-opacity": ["*", 0.12, ["get", "opacity"]] } },
      { id: "regions-line", type: "line", source: "regions", paint: { "line-color": severityColour, "line-opacity": ["get", "opacity"], "line-dasharray": [3, 2] } },
      { id: "tracks", type: "line", source: "tracks", paint: { "line-color": severityColour, "line-width": 2.5 } },
      { id: "devices-square", type: "symbol", source: "devices", layout: { "text-field": "■", "text-size": 15, "text-anchor": "center", "text-allow-overlap": true, "text-ignore-placement": true }, paint: { "text-color": presenceColour, "text-halo-color": colour("panel"), "text-halo-width": 1.4 } },
      { id: "devices", type: "symbol", source: "devices", layout: { "text-field": ["get", "id"], "text-size": 12, "text-anchor": "left", "text-offset": [1, 0], "text-allow-overlap": true }, paint: { "text-color": presenceColour, "text-halo-color": colour("panel"), "text-halo-width": 1.4 } },
      { id: "clusters", type: "circle", source: "alerts", filter: ["has", "point_count"], paint: { "circle-color": colour("high"), "circle-radius": ["step", ["get", "point_count"], 15, 10, 20, 100, 27], "circle-stroke-color": colour("panel"), "circle-stroke-width": 2 } },
      { id: "clusters-text", type: "symbol", source: "alerts", filter: ["has", "point_count"], layout: { "text-field": ["to-string", ["get", "point_count"]], "text-size": 13, "text-allow-overlap": true }, paint: { "text-color": colour("panel") } },
      { id: "alerts", type: "circle", source: "alerts", filter: ["!", ["has", "point_count"]], paint: { "circle-color": severityColour, "circle-radius": 8, "circle-opacity": ["get", "opacity"], "circle-stroke-color": ["match", ["get", "basis"], "emitter", colour("panel"), colour("ink")], "circle-stroke-width": 2, "circle-stroke-opacity": ["get", "opacity"] } },
    ],
  };
}

function show(map, data) {
  const alerts = data.alerts.map((a) => ({ ...a, opacity: ageOpacity(a.raised_at) }));
  const set = (name, features) => map.getSource(name).setData({ type: "FeatureCollection", features });
  set("alerts", alerts.map((a) => point(a.lon, a.lat, { id: a.id, severity: a.severity, basis: a.basis, opacity: a.opacity })));
  set("regions", alerts.filter((a) => a.radius_m).map((a) => circle(a.lon, a.lat, a.radius_m, { severity: a.severity, opacity: a.opacity })));
  set("tracks", data.tracks.map((t) => line(t.points, { severity: t.severity })));
  set("devices", data.devices.map((d) => point(d.lon, d.lat, { id: d.id, presence: d.presence })));
  return new Map(alerts.map((a) => [a.id, a]));
}

function card(alert) {
  const box = document.createElement("div");
  const link = document.createElement("a");
  link.href = alert.href;
  link.textContent = alert.title;
  const facts = document.createElement("p");
  const radius = alert.radius_m ? ` ± ${Math.round(alert.radius_m)} m` : "";
  facts.textContent = `${alert.severity_text} · ${alert.station} · ${alert.raised_text} · ${alert.basis_text}${radius}`;
  box.append(link, facts);
  return box;
}

function bounds(data, tiles) {
  const box = new maplibregl.LngLatBounds();
  for (const item of [...data.alerts, ...data.devices]) box.extend([item.lon, item.lat]);
  for (const track of data.tracks) for (const place of track.points) box.extend(place);
  if (box.isEmpty() && tiles.length) {
    const { minLon, minLat, maxLon, maxLat } = tiles[0].header;
    box.extend([minLon, minLat]).extend([maxLon, maxLat]);
  }
  return box.isEmpty() ? [[73, 18], [135, 54]] : box;
}

async function start() {
  root.hidden = false;
  document.querySelector(".map-key").hidden = false;
  maplibregl.setWorkerUrl("/static/vendor/maplibre-gl-worker.mjs");
  const protocol = new window.pmtiles.Protocol();
  maplibregl.addProtocol("pmtiles", protocol.tile);
  const names = root.dataset.tiles.split(" ").filter(Boolean);
  const read = await Promise.allSettled(names.map(tileLayers));
  const tiles = read.filter((r) => r.status === "fulfilled").map((r) => r.value);
  const load = async () => (await fetch("/map/data", { cache: "no-store" })).json();
  let data = await load();
  const map = new maplibregl.Map({
    container: root, style: style(tiles), bounds: bounds(data, tiles),
    fitBoundsOptions: { padding: 60, maxZoom: 13 }, attributionControl: false, maxPitch: 0, dragRotate: false,
  });
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }));
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }));
  map.addControl(new maplibregl.AttributionControl({ compact: false, customAttribution: "Natural Earth" }));
  await new Promise((resolve) => { map.once("load", resolve); });
  let known = show(map, data);
  const grid = () => map.getSource("graticule").setData(graticule(map));
  map.on("moveend", grid);
  grid();
  map.on("click", "alerts", (event) => {
    const alert = known.get(event.features[0].properties.id);
    if (alert) new maplibregl.Popup({ maxWidth: "20rem" }).setLngLat([alert.lon, alert.lat]).setDOMContent(card(alert)).addTo(map);
  });
  map.on("click", "clusters", async (event) => {
    const feature = event.features[0];
    const zoom = await map.getSource("alerts").getClusterExpansionZoom(feature.properties.cluster_id);
    map.easeTo({ center: feature.geometry.coordinates, zoom });
  });
  setInterval(async () => {
    if (document.hidden) return;
    try {
      data = await load();
      known = show(map, data);
    } catch { /* the next round tries again */ }
  }, REFRESH_MS);
  // What is drawn now, for whoever asks whether tiles and tracks are really there.
  const drawn = tiles.flatMap((tile) => tile.layers.map((layer) => layer.id));
  map.on("idle", () => {
    root.dataset.tracks = map.queryRenderedFeatures({ layers: ["tracks"] }).length;
    root.dataset.tileFeatures = map.queryRenderedFeatures({ layers: drawn }).length;
    root.dataset.state = "drawn";
  });
  map.triggerRepaint();
}

start().catch(() => { root.hidden = true; document.querySelector(".map-key").hidden = true; });
