"""The signed baseline from the command: signed with a central's own key, refused plainly."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from central.config import load_settings
from central.own_key import central_signer
from contract.keys import CENTRAL, KnownKey
from qianshao.rf_sign import add_arguments, run
from rf_watch.signed_baseline import open_baseline
from tests.rf_watch.kit import learned

CONFIG = 'tenant = "demo"\nfolder = "central"\n'


def sign(folder: Path, baseline: str) -> tuple[int, str, str]:
    (folder / "central.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "base.json").write_text(baseline, encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = [folder / "base.json", "--config", folder / "central.toml", "--out", folder / "signed"]
    out, err = io.StringIO(), io.StringIO()
    status = run(parser.parse_args([str(word) for word in words]), out, err)
    return status, out.getvalue(), err.getvalue()


def test_a_learned_baseline_is_signed_with_the_centrals_key(tmp_path: Path) -> None:
    (tmp_path / "central").mkdir(mode=0o700)
    (tmp_path / "central.toml").write_text(CONFIG, encoding="utf-8")
    signer = central_signer(load_settings(tmp_path / "central.toml"))
    status, out, err = sign(tmp_path, learned().to_json())
    assert (status, err) == (0, "")
    assert learned().sha256 in out
    known = KnownKey(CENTRAL, signer.public)
    raw = (tmp_path / "signed").read_bytes()
    assert open_baseline(raw, tenant="demo", find_key={signer.kid: known}.get) == learned()


def test_what_is_no_baseline_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    status, out, err = sign(tmp_path, "{}")
    assert (status, out) == (2, "")
    assert "not of the format" in err
    assert not (tmp_path / "signed").exists()


def test_a_place_without_a_centrals_key_signs_nothing_and_makes_none(tmp_path: Path) -> None:
    status, _, err = sign(tmp_path, learned().to_json())
    assert status == 2
    assert "no key of a central" in err
    assert not (tmp_path / "central").exists()
