"""Settings: every mistake is named with file, line and key, and no file raises anything else."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.settings import ConfigError, TomlFile, key_text
from contract.toml_lines import KeyPath, locate

EXAMPLE = '''\
device = "van-01"
# [not] = a table
"quoted.key" = 'a # is no comment'
note = """
[neither] = this
"""
dotted.inner . "k\\u0065y" = 1

[broker]
tls = { ca = "ca.pem", deep.er = [1, 2] }

[[sensors]]
name = "one"

  [[sensors]]  # indented
  name = "two"
  levels = [
    1,  # ]
    { a = 2 },
    [3,
     4],
  ]
  [sensors.gps]
  port = 1
  [[sensors.gps.tracks]]
  [[sensors.gps.tracks]]
  id = 7

["a.b".c]
d = \'\'\'x\'\'\'
'''


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


def of(text: str) -> TomlFile:
    return TomlFile(Path("agent.toml"), text)


def error_of(call: Callable[[], object]) -> ConfigError | None:
    try:
        call()
    except ConfigError as error:
        return error
    return None


def problems(file: TomlFile) -> list[str]:
    error = error_of(file.finish)
    return [str(problem) for problem in error.problems] if error is not None else []


# -- lines -------------------------------------------------------------------------------------


def test_every_value_is_found_on_its_line() -> None:
    lines = {key_text(path): line for path, line in locate(EXAMPLE).items()}
    assert lines == {
        "device": 1,
        '"quoted.key"': 3,
        "note": 4,
        "dotted": 7,
        "dotted.inner": 7,
        "dotted.inner.key": 7,
        "broker": 9,
        "broker.tls": 10,
        "broker.tls.ca": 10,
        "broker.tls.deep": 10,
        "broker.tls.deep.er": 10,
        "broker.tls.deep.er[0]": 10,
        "broker.tls.deep.er[1]": 10,
        "sensors": 12,
        "sensors[0]": 12,
        "sensors[0].name": 13,
        "sensors[1]": 15,
        "sensors[1].name": 16,
        "sensors[1].levels": 17,
        "sensors[1].levels[0]": 18,
        "sensors[1].levels[1]": 19,
        "sensors[1].levels[1].a": 19,
        "sensors[1].levels[2]": 20,
        "sensors[1].levels[2][0]": 20,
        "sensors[1].levels[2][1]": 21,
        "sensors[1].gps": 23,
        "sensors[1].gps.port": 24,
        "sensors[1].gps.tracks": 25,
        "sensors[1].gps.tracks[0]": 25,
        "sensors[1].gps.tracks[1]": 26,
        "sensors[1].gps.tracks[1].id": 27,
        '"a.b"': 29,
        '"a.b".c': 29,
        '"a.b".c.d': 30,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#",
        "a = 1",
        'a = """b"""""\nc = 1',
        "a = '''b'''''\nc = 1",
        'a = ""\nb = 1',
        'a = "\\\\"\nb = 1',
        'a = """\\""""\nb = 1',
        'a = "\\""\nb = 1',
        "'' = 1\nb = 2",
        "a = {}\nb = []",
        "a = 1979-05-27 07:32:00 # x\nb = 1",
        "[ a . b ]\nc = 1\n[[ a.d ]]\ne=1",
        "[a.b]\nc = 1\n[a]\nd = 1",
        "a = [[[[]]]]\r\nb = 1",
        "a.b = 1\na.c = 2",
    ],
)
def test_each_value_of_odd_files_has_a_line(text: str) -> None:
    assert set(locate(text.replace("\r\n", "\n"))) >= set(paths_of(tomllib.loads(text)))


def paths_of(value: Any, at: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        below = [p for key, inner in value.items() for p in paths_of(inner, (*at, key))]
    elif isinstance(value, list):
        below = [p for i, inner in enumerate(value) for p in paths_of(inner, (*at, i))]
    else:
        below = []
    return [at, *below] if at else below


SNIPPETS = st.sampled_from(
    [
        *"\n\n\n  =.,#[]{}\"'\\ab1-",
        "[[a]]",
        "[a.b]",
        "a = 1",
        "\na=[",
        '"""',
        "'''",
        'b = "x"',
        "1.5",
        "true",
        "\r\n",
        "é",
        "\0",
        "0xff",
        "1979-05-27",
        "\n[[a.b]]\n",
        "{ c = 1 }",
    ]
)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(SNIPPETS, max_size=30).map("".join)))
@example("[" * 5000)
@example("a = " + "[" * 5000 + "]" * 5000)
@example("a = 0x" + "f" * 5000)
@example("a = " + "9" * 5000)
@example("a = 0001-01-01T00:00:00+23:59")
@example('a = "' + "\\" * 11)
def test_any_text_is_either_read_with_all_lines_or_a_config_error(text: str) -> None:
    error = error_of(lambda: of(text))
    if error is not None:
        assert str(error).startswith("agent.toml")
        return
    content = text.replace("\r\n", "\n")
    found = locate(content)
    assert set(paths_of(tomllib.loads(content))) <= set(found)
    assert all(1 <= line <= content.count("\n") + 1 for line in found.values())


@settings(deadline=None)
@given(st.lists(SNIPPETS, max_size=30).map("".join))
def test_any_value_is_either_right_or_a_problem(text: str) -> None:
    def read() -> None:
        file = of(text)
        for key in ("a", "b", "c"):
            table = file.root.table_or_none(key)
            for row in [file.root, *file.root.tables(key), *([table] if table else [])]:
                row.text_or(key, None)
                row.number_or(key, None, 0, 1)
                row.path_or(key, None)
        file.finish()

    error = error_of(read)
    assert error is None or all("agent.toml" in str(problem) for problem in error.problems)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_either_read_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("toml") / "agent.toml"
    path.write_bytes(raw)
    error = error_of(lambda: TomlFile.read(path))
    assert error is None or error.problems[0].file == path


# -- files -------------------------------------------------------------------------------------


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        of("a = 1\n\nb = = 2\n")
    assert str(caught.value) == "agent.toml:3: Invalid value"


def test_a_text_that_ends_too_early_names_the_last_line() -> None:
    with pytest.raises(ConfigError, match=r"^agent.toml:2: "):
        of('a = 1\nb = """')


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        TomlFile.read(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        TomlFile.read(tmp_path)
    other = tmp_path / "other.toml"
    other.write_bytes(b"a = 1\n\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"other\.toml:3: is not UTF-8"):
        TomlFile.read(other)
    other.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match="2000000 bytes"):
        TomlFile.read(other)


def test_a_byte_order_mark_and_foreign_line_ends_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 'x'\r\n")
    file = TomlFile.read(path)
    assert file.root.text("b") == "x"
    assert problems(file) == [f"{path}:1: a: unknown key"]


# -- values ------------------------------------------------------------------------------------


def refuse_upper(text: str) -> str:
    if text != text.lower():
        raise ValueError("is not lower case")
    return text


def test_right_values_come_back_typed() -> None:
    file = of(
        "t = 'x'\ni = 3\nn = 2\nw = 'green'\nb = true\np = 'sub/x'\nq = '/abs'\n[s]\n[[l]]\n[[l]]"
    )
    root = file.root
    assert (root.text("t", refuse_upper), root.integer("i", 1, 5)) == ("x", 3)
    assert root.number("n", 0, 5) == 2.0
    assert root.word("w", Colour) is Colour.GREEN
    assert root.boolean_or("b", default=False) is True
    assert (root.path("p"), root.path("q")) == (Path("sub/x"), Path("/abs"))
    assert root.table_or_none("s") is not None
    assert len(root.tables("l")) == 2
    assert problems(file) == []


def test_missing_values_fall_back_only_where_a_default_is_given() -> None:
    file = of("")
    root = file.root
    assert root.text_or("t", None) is None
    assert root.integer_or("i", 7, 1, 5) == 7
    assert root.number_or("n", None, 0, 1) is None
    assert root.word_or("w", Colour.RED, Colour) is Colour.RED
    assert root.boolean_or("b", default=True) is True
    assert root.path_or("p", None) is None
    assert root.table_or_none("s") is None
    assert root.tables("l") == []
    assert problems(file) == []
    root.text("t")
    root.table("s").table("deeper").text("x")  # a missing table speaks once
    assert problems(file) == ["agent.toml: t: is missing", "agent.toml: s: is missing"]


def test_wrong_values_are_all_reported_with_line_and_key() -> None:
    file = of(
        "t = 1\ne = ' '\nu = 'X'\ni = true\nj = 9\nn = 'x'\nm = nan\nw = 'gren'\nb = 0\n"
        "p = ''\nz = \"\\u0000\"\ns = 1\nl = 'x'\nk = [1]\nh = 0x" + "f" * 4000 + "\n"
    )
    root = file.root
    root.text("t")
    root.text("e")
    root.text("u", refuse_upper)
    root.integer("i", 1, 5)
    root.integer_or("j", 2, 1, 5)
    root.number("n", 0, 1)
    root.number("m", 0, 1)
    root.word("w", Colour)
    root.boolean_or("b", default=True)
    root.path("p")
    root.path("z")
    root.table("s")
    root.tables("l")
    root.tables("k")
    root.table("h")
    assert problems(file) == [
        "agent.toml:1: t: expected a text, found a whole number",
        "agent.toml:2: e: is empty",
        "agent.toml:3: u: is not lower case",
        "agent.toml:4: i: expected a whole number, found true or false",
        "agent.toml:5: j: 9 is not within 1 to 5",
        "agent.toml:6: n: expected a number, found a text",
        "agent.toml:7: m: nan is not within 0 to 1",
        "agent.toml:8: w: 'gren' is none of red, green (did you mean green?)",
        "agent.toml:9: b: expected true or false, found a whole number",
        "agent.toml:10: p: is empty",
        "agent.toml:11: z: a path holds no zero byte",
        "agent.toml:12: s: expected a table, found a whole number",
        "agent.toml:13: l: expected an array of tables, [[l]], found a text",
        "agent.toml:14: k[0]: expected a table, found a whole number",
        "agent.toml:15: h: expected a table, found a whole number",
    ]


def test_a_number_too_large_to_write_is_a_problem_too() -> None:
    file = of("i = 0x" + "f" * 5000 + "\nn = 0x" + "f" * 5000)
    file.root.integer("i", 1, 5)
    file.root.number("n", 1, 5)
    assert len(problems(file)) == 2


def test_keys_that_nobody_knows_are_errors_in_every_table() -> None:
    file = of("name = 'x'\nnmae = 'y'\n[s]\nother = 1\n[[l]]\n[[l]]\n'a b' = 1\n[left]\nc = 1\n")
    file.root.text("name")
    file.root.table("s")
    file.root.tables("l")
    assert problems(file) == [
        "agent.toml:2: nmae: unknown key (did you mean name?)",
        "agent.toml:4: s.other: unknown key",
        'agent.toml:7: l[1]."a b": unknown key',
        "agent.toml:8: left: unknown key",
    ]


def test_a_caller_can_note_what_only_it_can_see() -> None:
    file = of("[s]\na = 1\nb = 2\n")
    table = file.root.table("s")
    table.integer("a", 0, 9)
    table.problem("a", "is more than c")
    table.problem("", "is odd")
    table.forbid("b", "has no place here")
    assert problems(file) == [
        "agent.toml:1: s: is odd",
        "agent.toml:2: s.a: is more than c",
        "agent.toml:3: s.b: has no place here",
    ]
