"""``qianshao order`` and ``central officers``: a key, the bundle, a signature by file."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from central.orders.content import content_of
from central.orders.signing import read_signatures, signing_file
from contract.cosign import OrderKey, check_signature
from contract.keys import load_public_pem
from contract.words import Signatory
from qianshao.__main__ import main
from tests.central.test_order_desk import Office

CONFIG = 'tenant = "demo"\nfolder = "c"\n'


@pytest.fixture
def passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: "long enough")


@pytest.mark.parametrize("options", [[], ["--p256"], ["--no-passphrase"]])
def test_a_pair_signs_what_was_shown(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    passphrases: None,
    options: list[str],
) -> None:
    key, wanted, made = tmp_path / "key.pem", tmp_path / "to-sign", tmp_path / "signatures"
    assert main(["order", "keygen", "--out", str(key), *options]) == 0
    public = load_public_pem(capsys.readouterr().out)
    assert key.stat().st_mode & 0o077 == 0
    assert (b"ENCRYPTED" in key.read_bytes()) is ("--no-passphrase" not in options)
    assert main(["order", "keygen", "--out", str(key), *options]) == 1  # never over another
    application = Office().draft().application
    content = content_of(application, "central")
    wanted.write_bytes(signing_file({application.order_id: content}, "demo"))
    capsys.readouterr()
    sign = ["order", "sign", str(wanted), "--key", str(key), "--out", str(made)]
    monkeypatch.setattr("builtins.input", lambda prompt: "no")
    assert main(sign) == 1
    assert not made.exists()
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    assert main(sign) == 0
    assert "**** 0012" in capsys.readouterr().out
    part = read_signatures(made.read_bytes())[application.order_id]
    known = OrderKey("li", frozenset({Signatory.OFFICER}), public)
    assert check_signature(content, part, tenant="demo", find_key=lambda kid: known) == known


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"schema": "qianshao-to-sign/1"}'])
def test_a_file_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: bytes
) -> None:
    path = tmp_path / "to-sign"
    path.write_bytes(raw)
    assert main(["order", "show", str(path)]) == 1
    assert str(path) in capsys.readouterr().err
    key = tmp_path / "key.pem"
    assert main(["order", "sign", str(path), "--key", str(key), "--out", str(tmp_path / "o")]) == 1
    assert str(path) in capsys.readouterr().err
    assert main(["order", "show", str(tmp_path / "nothing")]) == 1


def test_officers_are_named_on_the_centrals_own_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], passphrases: None
) -> None:
    config, key, public = tmp_path / "c.toml", tmp_path / "key.pem", tmp_path / "pub.pem"
    config.write_text(CONFIG)
    (tmp_path / "c").mkdir()
    assert main(["order", "keygen", "--out", str(key)]) == 0
    public.write_text(capsys.readouterr().out)
    central = ["central", "--config", str(config)]
    options = ["--config", str(config), "--json"]
    assert main([*central, "officers", "add", "li.wei", str(public), *options]) == 1
    assert "nobody called" in capsys.readouterr().err

    sys.stdin, former = io.StringIO("a good long password\n"), sys.stdin
    create = ["admin", "create", "li.wei", "--role", "reviewer", "--password-stdin", *options]
    try:
        assert main([*central, *create]) == 0
    finally:
        sys.stdin = former
    assert main([*central, "officers", "add", "li.wei", str(public), *options]) == 0
    bundle = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (bundle["version"], bundle["officers"][0]["officer"]) == (1, "li.wei")
    kid = bundle["officers"][0]["key"]
    assert main([*central, "officers", "remove", kid[:8], *options]) == 1
    assert main([*central, "officers", "remove", kid[:16], *options]) == 0
    capsys.readouterr()
    assert main([*central, "officers", "list", *options]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "qianshao-officers/1",
        "version": 2,
        "officers": [],
    }


def test_a_key_that_is_none_and_a_place_that_cannot_be_written_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], passphrases: None
) -> None:
    wanted, key = tmp_path / "to-sign", tmp_path / "key.pem"
    application = Office().draft().application
    content = content_of(application, "central")
    wanted.write_bytes(signing_file({application.order_id: content}, "demo"))
    key.write_text("hello")
    key.chmod(0o600)
    sign = ["order", "sign", str(wanted), "--yes", "--key", str(key), "--out"]
    assert main([*sign, str(tmp_path / "made")]) == 1
    assert f"{key}: does not open" in capsys.readouterr().err
    key.unlink()
    assert main(["order", "keygen", "--out", str(key)]) == 0
    assert main([*sign, str(tmp_path / "nowhere" / "made")]) == 1
    assert "nowhere" in capsys.readouterr().err
