"""What a deployment knows: files that are read, rows left out, files refused by their key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.rf.known import KnownError, KnownFiles, load_known
from hardware.readings import Rat
from rf_watch.plan import PLAN_COLUMNS
from tests.rf_watch.kit import learned
from tests.rf_watch.test_sms_class import MODEL

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
