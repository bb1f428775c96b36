"""The template key: a private file, or sealed by a token that keeps its own key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from atm_face.device_key import DeviceKeyError, TokenSlot, file_key, token_key


def test_a_key_file_is_made_once_and_must_be_private(tmp_path: Path) -> None:
    path = tmp_path / "template.key"
    key = file_key(path)
    assert file_key(path) == key
    assert len(key) == 32
    path.chmod(0o644)
    with pytest.raises(DeviceKeyError, match="others may use it"):
        file_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(DeviceKeyError, match="has 5 bytes"):
        file_key(path)


_USE = """
import sys
from pathlib import Path
from atm_face.device_key import DeviceKeyError, TokenSlot, token_key
path, library, token, pin = sys.argv[1:]
try:
    print(token_key(Path(path), TokenSlot(Path(library), token, pin)).hex())
except DeviceKeyError as error:
    print("refused:", error)
"""


@pytest.mark.softhsm
def test_only_the_token_that_sealed_a_key_opens_it(softhsm: str, tmp_path: Path) -> None:
    """In processes of their own: the library reads its configuration once."""
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(conf)}

    def run(*words: str) -> str:
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
        return done.stdout

    for label in ("first", "second"):
        pins = ["--pin", "1234", "--so-pin", "5678"]
        run("softhsm2-util", "--init-token", "--free", "--label", label, *pins)
    path = tmp_path / "template.key"

    def use(token: str, pin: str = "1234", file: Path = path) -> str:
        return run(sys.executable, "-c", _USE, str(file), softhsm, token, pin).strip()

    key = use("first")
    assert len(bytes.fromhex(key)) == 32
    assert use("first") == key
    assert bytes.fromhex(key) not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    # A token without the sealing key makes none for a file that is there: the old would be lost.
    assert "refused:" in use("second")
    use("second", file=tmp_path / "other.key")
    assert "refused:" in use("second")
    wrong = use("first", pin="9999")
    assert "refused:" in wrong
    assert "9999" not in wrong
    path.write_bytes(b"noise")
    assert "no sealed template key" in use("first")


def test_a_library_that_is_none_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11")
    with pytest.raises(DeviceKeyError, match="token 't'"):
        token_key(tmp_path / "template.key", TokenSlot(tmp_path / "none.so", "t", "1234"))
