"""The manifest and package.json carry every module, and mip installs from the latter."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import threading
from pathlib import Path

from hardware.board import release
from tests.on_micropython.interpreter import FIRMWARE, micropython


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_the_manifest_carries_every_module_and_asks_for_the_same_libraries() -> None:
    said: dict[str, list[str]] = {"module": [], "package": [], "require": []}
    about: dict[str, str] = {}
    functions = {name: said[name].append for name in said}
    source = (FIRMWARE / "manifest.py").read_text(encoding="utf-8")
    exec(
        source, {"metadata": about.update, **functions} | {"metadata": lambda **k: about.update(k)}
    )
    assert about["version"] == release.version()
    assert sorted(said["module"]) == sorted(
        p.name for p in FIRMWARE.glob("*.py") if p.name != "manifest.py"
    )
    assert said["package"] == ["sniffer"]
    assert said["require"] == list(release.LIBRARIES)


def test_a_required_library_is_behind_a_guarded_import() -> None:
    source = (FIRMWARE / "usb_port.py").read_text(encoding="utf-8")
    assert "from usb.device.cdc import CDCInterface\nexcept ImportError:" in source


def test_mip_installs_the_package_and_its_library(tmp_path: Path) -> None:
    built = release.build(tmp_path, "esp32s3")
    library = {"version": "0.1.2", "urls": [["usb/device/cdc.mpy", "cdc.mpy"]]}
    index = tmp_path / "esp32s3" / "package" / "6" / "usb-device-cdc"
    index.mkdir(parents=True)
    (index / "latest.json").write_text(json.dumps(library))
    (index / "cdc.mpy").write_bytes(b"M\6")
    handler = functools.partial(Quiet, directory=str(tmp_path / "esp32s3"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(
            [
                micropython(),
                "-m",
                "mip",
                "install",
                "--index",
                base,
                "--target",
                str(tmp_path / "lib"),
                f"{base}/package.json",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stdout + done.stderr
    for path in built.modules.rglob("*.mpy"):
        installed = tmp_path / "lib" / path.relative_to(built.modules)
        assert installed.read_bytes() == path.read_bytes()
    assert (tmp_path / "lib" / "usb" / "device" / "cdc.mpy").exists()
    assert (tmp_path / "lib" / "slots.py").exists()
