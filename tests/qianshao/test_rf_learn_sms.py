"""``rf learn-sms``: an invented corpus here, the published one where it is at hand."""

from __future__ import annotations

import argparse
import io
import json
import random
from pathlib import Path

import pytest

from qianshao.rf_learn_sms import (
    _fit,
    add_arguments,
    clusters,
    evaluate,
    read_corpus,
    run,
    split,
    train,
)
from rf_watch.sms_class import parse_model

WORDS = {
    "loan": ["贷款", "额度", "利息", "放款", "征信", "抵押"],
    "gambling": ["彩票", "注册", "送彩金", "娱乐城", "提款", "时时彩"],
    "phishing": ["积分", "兑换", "失效", "登录", "银行卡", "升级"],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three classes of 60 invented messages, a leftover and a rare one."""
    chooser = random.Random(1)
    for name, words in WORDS.items():
        lines = {
            "".join(chooser.choices(words, k=5)) + f"{chooser.randrange(10**6)}" for _ in range(60)
        }
        (tmp_path / name).write_text("\n".join(sorted(lines)) + "\n\n", encoding="utf-8")
    (tmp_path / "Other").write_text("\n".join(map(str, range(60))), encoding="utf-8")
    (tmp_path / "rare").write_text("少见\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("not a class\n", encoding="utf-8")
    return tmp_path


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_what_is_learned_is_applied_without_the_library(corpus: Path, tmp_path: Path) -> None:
    out, err, model = io.StringIO(), io.StringIO(), tmp_path / "model"
    assert run(arguments(str(corpus), "--out", str(model)), out, err) == 0
    classify = parse_model(model.read_bytes()).classify
    assert classify("您的积分即将失效请登录兑换") == "phishing"
    assert classify("无抵押贷款当天放款30万") == "loan"
    assert "left out: Other (60), rare (1)" in out.getvalue()
    assert "| gambling |" in out.getvalue()
    assert "彩金" not in out.getvalue() + err.getvalue()


def test_the_report_is_json_with_an_interval(corpus: Path) -> None:
    out = io.StringIO()
    assert run(arguments(str(corpus), "--json", "--no-peer"), out, io.StringIO()) == 0
    report = json.loads(out.getvalue())
    assert report["schema"] == "qianshao.sms-report/1"
    assert report["macro_f1"] > 0.9
    assert len(report["macro_f1_splits"]) == 5
    assert report["peer_macro_f1_splits"] == []
    assert sum(map(sum, report["confusion"]["rows_true"])) > 150


def test_near_duplicates_stay_on_one_side() -> None:
    texts = [f"尊敬的用户您的积分{n}已满请登录手机银行兑换现金" for n in range(5)]
    texts += ["完全不同的一句话而且比较长一些", "另外一句毫不相干的消息内容在此"]
    groups = clusters(texts)
    assert len(set(groups[:5])) == 1
    assert len(set(groups)) == 3
    for seed in range(10):
        chosen = split(["a"] * 7, groups, seed)
        assert set(range(5)) <= chosen or not set(range(5)) & chosen


def test_bad_lines_are_told_and_a_folder_without_classes_fails(
    corpus: Path, tmp_path: Path
) -> None:
    err = io.StringIO()
    with (corpus / "loan").open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert run(arguments(str(corpus), "--no-peer"), io.StringIO(), err) == 3
    assert "loan: line " in err.getvalue()
    assert "no UTF-8" in err.getvalue()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(arguments(str(empty)), io.StringIO(), err) == 1
    assert run(arguments(str(empty / "none")), io.StringIO(), err) == 2


def test_the_plain_form_decides_as_the_library_does(corpus: Path) -> None:
    texts = read_corpus(corpus, io.StringIO())
    vectors, classifier = _fit(texts.texts, texts.labels)
    model = train(texts.texts, texts.labels)
    unseen = ["注册送彩金 www.xpj.com", "征信不好也可放款", "积分兑换 95588", "送彩金放款"]
    expected = classifier.decision_function(vectors.transform(unseen))
    for text, row in zip(unseen, expected, strict=True):
        assert model.scores(text) == pytest.approx(list(row), abs=1e-4)


def test_two_classes_are_learned_too(corpus: Path) -> None:
    (corpus / "loan").unlink()
    found = read_corpus(corpus, io.StringIO())
    model = train(found.texts, found.labels)
    assert model.classes == ("gambling", "phishing")
    assert model.classify("注册送彩金") == "gambling"


@pytest.mark.field_data
def test_unseen_messages_of_real_fake_base_stations_are_classified(field_data: Path) -> None:
    corpus = read_corpus(field_data / "cellular" / "fbs_sms", io.StringIO())
    assert corpus.left_out == {"FR_Phishing_Other": 8, "Other": 100}
    report = evaluate(corpus, has_peer=False)
    assert (report.messages, len(report.classes)) == (12_920, 12)
    assert report.mean >= 0.95
    assert report.half_interval < 0.02
