"""``python -m tests.fuzz TARGET FOLDER [libFuzzer options]``: atheris over one target."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

ROOMS = ["contract", "central", "edge_agent", "hardware", "mqtt_bridge"]
with atheris.instrument_imports(include=ROOMS):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Write the seeds, then fuzz; a crash ends the process with a status other than 0."""
    target = TARGETS[sys.argv[1]]
    tempfile.tempdir = sys.argv[2]  # libFuzzer ends the process without tidying up
    corpus = Path(sys.argv[2]) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [sys.argv[0], str(corpus), f"-artifact_prefix={sys.argv[2]}/", *sys.argv[3:]]
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()


main()
