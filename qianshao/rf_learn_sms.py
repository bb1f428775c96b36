"""``qianshao rf learn-sms``: learn what short messages are about, and say how well it works.

The corpus is the operator's own: one file for each class, one message a line. Nothing of it is
shipped, and nothing of its texts is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rf_watch.sms_class import NGRAM_MAX, SmsModel, make_model, normalised

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_PARTLY_UNREADABLE = 0, 1, 2, 3

LEFTOVER = "Other"
"""Class of what fits nowhere: neither learned nor judged."""
DISTINCT_MIN = 50
SPLITS = 5
TEST_SHARE = 0.2
_T_4 = 2.776
"""Student's t for 95 % and four degrees of freedom."""
_SIMILAR = 0.5
_SHINGLE = 4
_BANDS, _ROWS = 16, 3
_COMPARED = 8
"""Members of one bucket that a further one is compared with."""
_NOT_TEXT = re.compile(r"[\W_]")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Distinct messages with their classes."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    left_out: dict[str, int]
    """Classes that are not learned, with their distinct messages."""
    bad_lines: int


@dataclass(frozen=True, slots=True)
class Report:
    """How well unseen messages are classified."""

    classes: tuple[str, ...]
    messages: int
    clusters: int
    macro_f1: tuple[float, ...]
    peer_macro_f1: tuple[float, ...]
    class_f1: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]
    """Summed over the splits: true class by row, given class by column."""

    @property
    def mean(self) -> float:
        """Mean macro-F1 of the splits."""
        return statistics.fmean(self.macro_f1)

    @property
    def half_interval(self) -> float:
        """Half of the 95 % interval of the mean, by Student's t over the splits."""
        if len(self.macro_f1) < 2:
            return 1.0
        return float(_T_4 * statistics.stdev(self.macro_f1) / len(self.macro_f1) ** 0.5)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="one file a class, one text a line"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the model here")
    parser.add_argument("--seed", type=int, default=0, help="seed of the splits (default 0)")
    parser.add_argument("--no-peer", action="store_true", help="leave the comparison out")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main_learn_sms(args: argparse.Namespace) -> int:
    """Run the command."""
    return run(args, sys.stdout, sys.stderr)


def run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Read, judge on unseen messages, then learn from all of them."""
    if not args.folder.is_dir():
        err.write(f"DIR: {args.folder}: no such folder\n")
        return EXIT_USAGE
    corpus = read_corpus(args.folder, err)
    if len(set(corpus.labels)) < 2:
        err.write(f"DIR: {args.folder}: fewer than two classes of {DISTINCT_MIN} messages\n")
        return EXIT_FAILED
    report = evaluate(corpus, seed=args.seed, has_peer=not args.no_peer)
    out.write(_json(report, corpus) if args.json else _text(report, corpus))
    if args.out is not None:
        try:
            args.out.write_bytes(train(corpus.texts, corpus.labels).to_bytes())
        except OSError as error:
            err.write(f"--out: {args.out}: {error.strerror}\n")
            return EXIT_FAILED
    return EXIT_PARTLY_UNREADABLE if corpus.bad_lines else EXIT_OK


# -- corpus ---------------------------------------------------------------------------------------


def read_corpus(folder: Path, err: TextIO) -> Corpus:
    """Read distinct messages; a line that is no UTF-8 is told and left out."""
    texts: list[str] = []
    labels: list[str] = []
    left_out: dict[str, int] = {}
    bad = 0
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith((".", "README")):
            continue
        found: dict[str, None] = {}
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            try:
                text = line.decode().strip()
            except UnicodeDecodeError:
                err.write(f"{path.name}: line {number}: no UTF-8\n")
                bad += 1
                continue
            if text:
                found.setdefault(text)
        if path.name == LEFTOVER or len(found) < DISTINCT_MIN:
            left_out[path.name] = len(found)
            continue
        texts += found
        labels += [path.name] * len(found)
    return Corpus(tuple(texts), tuple(labels), left_out, bad)


def clusters(texts: Sequence[str]) -> list[int]:
    """Return for each message the number of its cluster of near-duplicates.

    Two are near-duplicates if half of their shingles of four characters (without placeholders and
    punctuation) are common; candidates come from MinHash bands, so that a few may be missed.
    """
    shingles = [_shingles(text) for text in texts]
    parent = list(range(len(texts)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, signature in enumerate(_signatures(shingles)):
        for band in range(_BANDS):
            key = (band, *signature[band * _ROWS : (band + 1) * _ROWS])
            buckets[key].append(number)
    for members in buckets.values():
        for position, number in enumerate(members):
            for other in members[: min(position, _COMPARED)]:
                if root(number) != root(other) and _similar(shingles[number], shingles[other]):
                    parent[root(number)] = root(other)
    return [root(number) for number in range(len(texts))]


def _shingles(text: str) -> frozenset[str]:
    plain = _NOT_TEXT.sub("", normalised(text))
    return frozenset(plain[at : at + _SHINGLE] for at in range(max(1, len(plain) - _SHINGLE + 1)))


def _similar(a: frozenset[str], b: frozenset[str]) -> bool:
    common = len(a & b)
    return common >= _SIMILAR * (len(a) + len(b) - common)


def _signatures(shingles: Sequence[frozenset[str]]) -> list[list[int]]:
    """MinHash signatures: the least of each of many hash functions."""
    import numpy as np

    size = _BANDS * _ROWS
    generator = np.random.default_rng(0)
    factor = generator.integers(1, 2**61, size, dtype=np.uint64) | np.uint64(1)
    offset = generator.integers(0, 2**61, size, dtype=np.uint64)
    signatures: list[list[int]] = []
    for one in shingles:
        digests = [hashlib.blake2b(s.encode(), digest_size=8).digest() for s in sorted(one)]
        hashes = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
        least = (hashes[:, None] * factor[None, :] + offset[None, :]).min(axis=0)
        signatures.append([int(value) for value in least])
    return signatures


def split(labels: Sequence[str], groups: Sequence[int], seed: int) -> set[int]:
    """Choose the test messages: a fifth of each class, clusters of near-duplicates undivided."""
    members: dict[int, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    by_class: dict[str, list[list[int]]] = defaultdict(list)
    for group in sorted(members):
        common = Counter(labels[number] for number in members[group]).most_common(1)[0][0]
        by_class[common].append(members[group])
    chosen: set[int] = set()
    shuffler = random.Random(seed)  # noqa: S311 - no secret hangs on it
    for name in sorted(by_class):
        groups_of_class = by_class[name]
        shuffler.shuffle(groups_of_class)
        room = TEST_SHARE * sum(map(len, groups_of_class)) + 1
        for group_members in groups_of_class:
            if len(group_members) <= room:
                chosen.update(group_members)
                room -= len(group_members)
    return chosen


# -- learning -------------------------------------------------------------------------------------


def _fit(texts: Sequence[str], labels: Sequence[str]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectors = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, NGRAM_MAX),
        min_df=2,
        sublinear_tf=True,
        lowercase=False,
        preprocessor=normalised,
    )
    return vectors, LinearSVC(class_weight="balanced", random_state=0).fit(
        vectors.fit_transform(texts), list(labels)
    )


def train(texts: Sequence[str], labels: Sequence[str]) -> SmsModel:
    """Learn from all messages."""
    vectors, classifier = _fit(texts, labels)
    weights, bias = classifier.coef_, classifier.intercept_
    if len(classifier.classes_) == 2:  # scikit-learn keeps one row for two classes
        weights, bias = [-weights[0], weights[0]], [-bias[0], bias[0]]
    return make_model(
        [str(name) for name in classifier.classes_],
        bias,
        [str(gram) for gram in vectors.get_feature_names_out()],
        vectors.idf_,
        weights,
    )


def _peer(texts: Sequence[str], labels: Sequence[str], unseen: Sequence[str]) -> list[str]:
    """A plain character n-gram SVM as the documentation of scikit-learn has it."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, NGRAM_MAX))
    classifier = LinearSVC(random_state=0).fit(vectors.fit_transform(texts), list(labels))
    return [str(name) for name in classifier.predict(vectors.transform(unseen))]


def evaluate(corpus: Corpus, *, seed: int = 0, has_peer: bool = True) -> Report:
    """Judge on messages that were not learned, over SPLITS splits."""
    from sklearn.metrics import confusion_matrix, f1_score

    classes = tuple(sorted(set(corpus.labels)))
    groups = clusters(corpus.texts)
    ours: list[float] = []
    peers: list[float] = []
    truth: list[str] = []
    given: list[str] = []
    for number in range(SPLITS):
        test = split(corpus.labels, groups, seed + number)
        learned = [n for n in range(len(corpus.texts)) if n not in test]
        texts, labels = _take(corpus, learned)
        unseen, wanted = _take(corpus, sorted(test))
        vectors, classifier = _fit(texts, labels)
        found = [str(name) for name in classifier.predict(vectors.transform(unseen))]
        ours.append(float(f1_score(wanted, found, average="macro")))
        truth += wanted
        given += found
        if has_peer:
            plain = _peer(texts, labels, unseen)
            peers.append(float(f1_score(wanted, plain, average="macro")))
    matrix = confusion_matrix(truth, given, labels=list(classes))
    by_class = f1_score(truth, given, average=None, labels=list(classes))
    return Report(
        classes=classes,
        messages=len(corpus.texts),
        clusters=len(set(groups)),
        macro_f1=tuple(ours),
        peer_macro_f1=tuple(peers),
        class_f1={name: float(value) for name, value in zip(classes, by_class, strict=True)},
        confusion=tuple(tuple(int(value) for value in row) for row in matrix),
    )


def _take(corpus: Corpus, numbers: Sequence[int]) -> tuple[list[str], list[str]]:
    return [corpus.texts[n] for n in numbers], [corpus.labels[n] for n in numbers]


# -- telling --------------------------------------------------------------------------------------


def _json(report: Report, corpus: Corpus) -> str:
    document = {
        "schema": "qianshao.sms-report/1",
        "messages": report.messages,
        "clusters": report.clusters,
        "left_out": corpus.left_out,
        "macro_f1": round(report.mean, 4),
        "macro_f1_half_interval_95": round(report.half_interval, 4),
        "macro_f1_splits": [round(value, 4) for value in report.macro_f1],
        "peer_macro_f1_splits": [round(value, 4) for value in report.peer_macro_f1],
        "class_f1": {name: round(value, 4) for name, value in report.class_f1.items()},
        "confusion": {"classes": report.classes, "rows_true": report.confusion},
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def _text(report: Report, corpus: Corpus) -> str:
    left_out = ", ".join(f"{name} ({count})" for name, count in sorted(corpus.left_out.items()))
    lines = [
        f"{report.messages} distinct messages of {len(report.classes)} classes in "
        f"{report.clusters} clusters of near-duplicates",
        f"left out: {left_out or 'nothing'}",
        f"macro-F1 on unseen messages: {report.mean:.4f} +- {report.half_interval:.4f} "
        f"(mean and 95 % interval of {SPLITS} splits of {TEST_SHARE:.0%}, "
        "near-duplicates on one side)",
    ]
    if report.peer_macro_f1:
        peer = statistics.fmean(report.peer_macro_f1)
        lines.append(f"peer, a plain character n-gram SVM on the same splits: {peer:.4f}")
    lines += ["", "| true \\ given | " + " | ".join(report.classes) + " | F1 |"]
    lines.append("|---|" + "---|" * (len(report.classes) + 1))
    for name, row in zip(report.classes, report.confusion, strict=True):
        cells = " | ".join(str(value) for value in row)
        lines.append(f"| {name} | {cells} | {report.class_f1[name]:.3f} |")
    return "\n".join(lines) + "\n"
