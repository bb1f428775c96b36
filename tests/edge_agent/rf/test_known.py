"""What a deployment knows: files that are read, rows left out, files refused by their key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contract.keys import CENTRAL, KeySigner, KnownKey
from edge_agent.rf.known import BaselineTrust, KnownError, KnownFiles, load_known
from hardware.readings import Rat
from rf_watch.plan import PLAN_COLUMNS
from rf_watch.signed_baseline import seal_baseline
from tests.rf_watch.kit import learned
from tests.rf_watch.test_sms_class import MODEL
from tests.samples import ED25519

HEADER = ",".join(PLAN_COLUMNS) + "\n"


def test_everything_that_is_named_is_read(tmp_path: Path) -> None:
    plan, baseline, model = (tmp_path / name for name in ("plan.csv", "base.json", "model"))
    plan.write_text(HEADER + "GSM,460-00,20,20481,30511,,,,30,,,,\nGSM,x,,,,,,,,,,,\n")
    baseline.write_text(learned().to_json(), encoding="utf-8")
    model.write_bytes(MODEL.to_bytes())
    files = KnownFiles(
        plan=plan, gsm_off=("460-01",), baselines=(baseline, baseline), sms_model=model
    )
    known = load_known(files)
    assert len(known.context.plan.rows) == 1
    assert known.bad_rows == ("plan.csv: line 3: plmn 'x' is not of the form MCC-MNC",)
    assert known.context.gsm.is_switched_off("460-01", None)
    assert known.context.baseline.areas(Rat.GSM, "460-00") == {0x247C: 60, 0x247D: 60}
    assert known.context.classify("赌") == "gambling"


def test_nothing_named_is_nothing_known() -> None:
    known = load_known(KnownFiles())
    assert not known.context.plan
    assert known.context.classify("赌") == "unclassified"


@pytest.mark.parametrize("key", ["plan", "register", "sms_model"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", None])
def test_an_unusable_file_is_refused_by_its_key(
    tmp_path: Path, key: str, content: bytes | None
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KnownError) as error:
        load_known(replace(KnownFiles(), **{key: path}))  # type: ignore[arg-type]
    assert (error.value.key, error.value.path) == (key, path)
    with pytest.raises(KnownError, match="baseline"):
        load_known(KnownFiles(baselines=(path,)))


# -- baselines under the central's signature ------------------------------------------------------

SIGNER = KeySigner(ED25519)


def trust(folder: Path) -> BaselineTrust:
    known = KnownKey(CENTRAL, ED25519.public_key())
    return BaselineTrust(
        tenant="demo",
        find_central={SIGNER.kid: known}.get,
        memory=folder / "baselines.json",
    )


def signed(folder: Path, version: int) -> KnownFiles:
    baseline = replace(learned(), version=version, region="x")
    path = folder / f"signed-{version}"
    path.write_bytes(seal_baseline(baseline, tenant="demo", signer=SIGNER))
    return KnownFiles(baselines=(path,), needs_signed=True)


def test_a_signed_baseline_is_taken_again_and_an_older_one_is_not(tmp_path: Path) -> None:
    older, newer = signed(tmp_path, 1), signed(tmp_path, 2)
    for files in (older, older, newer, newer):
        known = load_known(files, trust(tmp_path))
        assert known.context.baseline.areas(Rat.GSM, "460-00")
    with pytest.raises(KnownError, match="version 1 of x, but version 2 was taken"):
        load_known(older, trust(tmp_path))


def test_another_content_under_the_same_version_is_refused(tmp_path: Path) -> None:
    load_known(signed(tmp_path, 2), trust(tmp_path))
    changed = replace(learned(), version=2, region="x", networks={})
    path = tmp_path / "changed"
    path.write_bytes(seal_baseline(changed, tenant="demo", signer=SIGNER))
    with pytest.raises(KnownError, match="an older or another one"):
        load_known(KnownFiles(baselines=(path,)), trust(tmp_path))


def test_an_unsigned_or_altered_file_and_a_lost_memory_are_refused(tmp_path: Path) -> None:
    files = signed(tmp_path, 2)
    plain = tmp_path / "plain.json"
    plain.write_text(learned().to_json(), encoding="utf-8")
    with pytest.raises(KnownError, match="no signature of the central"):
        load_known(replace(files, baselines=(plain,)), trust(tmp_path))
    with pytest.raises(KnownError, match="is signed for agents"):
        load_known(files)
    (path,) = files.baselines
    path.write_bytes(path.read_bytes().replace(b"460-00", b"460-01"))
    with pytest.raises(KnownError, match="signature"):
        load_known(files, trust(tmp_path))
    (tmp_path / "baselines.json").write_bytes(b"{")
    with pytest.raises(KnownError, match="cannot be read"):
        load_known(signed(tmp_path, 2), trust(tmp_path))
