from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import BadInput
from mpipar.batch.document import Document, schema_of

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["run"],
    "properties": {
        "run": {
            "type": "object",
            "expected": "a table",
            "additionalProperties": {"type": "integer", "expected": "a whole number"},
        },
        "list": {
            "type": "array",
            "expected": "a list",
            "items": {"type": "string", "expected": "text"},
        },
        "deep": {"type": "object", "expected": "a table"},
        "text": {"type": "string", "expected": "text"},
    },
}


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("job.toml")


def written(path: Path, text: str | bytes) -> Document:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Document(path)


def told(path: Path, text: str | bytes, *changes: str, schema=SCHEMA) -> str:
    """Return the error of a file."""
    with pytest.raises(BadInput) as caught:  # noqa: PT012
        document = written(path, text)
        for change in changes:
            document.change(change)
        document.check(schema)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_file_is_read_with_its_changes(path):
    document = written(path, '[run]\na = 1\n[deep.er]\nb = "x"\n')
    document.change("run.a=2")
    document.change("run.new = 3")
    document.change("deep.er.b=plain text, as it stands")
    document.check(SCHEMA)
    assert document.values == {
        "run": {"a": 2, "new": 3},
        "deep": {"er": {"b": "plain text, as it stands"}},
    }
    assert document.text == '[run]\na = 1\n[deep.er]\nb = "x"\n'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[run]\na = 'x'\n", "job.toml:2: run.a: "),
        ("\n# comment\n\n[run]\n\n# more\na = 'x'\n", "job.toml:7: run.a: "),
        ("run.b = 1\nrun.a = 'x'\n", "job.toml:2: run.a: "),
        ("[run]\na = 'x'", "job.toml:2: run.a: "),
        ("[run]\r\nb = 2\r\na = 'x'\r\n", "job.toml:3: run.a: "),
        ("list = [\n  'a',\n  'b',\n]\n[run]\na = 'x'\n", "job.toml:6: run.a: "),
        ("text = '''\na = 1\n[run]\n'''\n[run]\na = 'x'\n", "job.toml:6: run.a: "),
        ('text = """\\\n  a\n""" # ]\n\nrun = { b = 1, a = "x" }\n', "job.toml:5: run.a: "),
        ("text = 'a'\n[run]\na = [\n1,\n]\n", "job.toml:3: run.a: "),
        ("list = [\n'a',\n3,\n]\nrun = {}\n", "job.toml:1: list[2]: "),
        ("[run]\n[deep]\n\n[deep.er]\n[run.a]\nb = 1\n", "job.toml:5: run.a: "),
        ("text = 3\n[run]\na = 'x'\n", "job.toml:1: text: "),  # the first of several
        ("run = 3\n", "job.toml:1: run: "),
        ("text = 'a'\n", "job.toml:1: 'run' is missing"),
        ("", "job.toml:1: 'run' is missing"),
    ],
)
def test_an_error_is_told_with_its_line(path, text, place):
    assert told(path, text).startswith(place)


def test_an_error_says_what_is_allowed_and_what_was_got(path):
    assert told(path, "[run]\na = 1.5\n") == "job.toml:2: run.a: expected a whole number, got 1.5"
    assert told(path, "[run]\na = true\n").endswith("got true")
    assert told(path, "[run]\na = {b = 1}\n").endswith("got a table")
    assert told(path, "[run]\na = [1, 2]\n").endswith("got a list, [1, 2]")
    assert told(path, "[run]\na = 01:30:00\n").endswith("got 01:30:00 without quotes")
    assert told(path, "[run]\na = 2026-01-01\n").endswith("got 2026-01-01 without quotes")
    assert told(path, f"[run]\na = '{'x' * 5000}'\n").endswith("xxx…")


def test_an_unknown_key_is_told_with_the_one_that_may_be_meant(path):
    assert (
        told(path, "[run]\n[rum]\n") == "job.toml:2: rum: there is no such key; did you mean run?"
    )
    assert told(path, "run = {}\nxyz = 1\n").endswith(
        "there is no such key; there are run, list, deep, text"
    )
    assert told(path, 'run = {}\n"a\\u0000\\nb" = 1\n').startswith(
        "job.toml:2: a\\x00\\nb: there is no such key"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("run.a=x", "--set: run.a: expected a whole number, got 'x'"),
        ("run.a=true", "--set: run.a: expected a whole number, got true"),
        ("run.new.er=1", "--set: run.new: expected a whole number, got a table"),
        ("rum.a=1", "--set: rum: there is no such key; did you mean run?"),
        ("run.b.c=1", "--set: run.b.c: 'b' is not a table"),
        ("text.b=1", "--set: text.b: 'text' is not a table"),
        ("run", "--set: expected KEY=VALUE, such as resources.nodes=4, got 'run'"),
        ("=1", "--set: expected KEY=VALUE, such as resources.nodes=4, got '=1'"),
        ("run..a=1", "--set: expected KEY=VALUE"),
        ("", "--set: expected KEY=VALUE"),
        (f"list={'[' * 9999}", "--set: list: nested too deeply"),
        (f"run.a={'9' * 9999}", "--set: run.a: expected numbers of at most 64 bits"),
        (f"run.a=0x{'f' * 9999}", "--set: run.a: expected a number of at most 64 bits"),
        ("run.a=nan", "--set: run.a: expected a number, got nan"),
        (".".join(["a"] * 999) + "=1", "--set: a: nested too deeply"),
        ("a\nb=1", "--set: a\\nb: there is no such key"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_by_name(path, change, said):
    assert told(path, "text = 'a'\n[run]\nb = 1\n", change).startswith(said)


@pytest.mark.parametrize(
    ("value", "is_read_as"),
    [
        ("1", 1),
        ("1e3", 1000.0),
        ("true", True),
        ("'1'", "1"),
        ("[1, 'a']", [1, "a"]),
        ("{a = 1}", {"a": 1}),
        ("a b", "a b"),
        ("", ""),
        ("a=b", "a=b"),
        ("01:00:00", "01:00:00"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T01:00:00Z", "2026-01-01T01:00:00Z"),
        ("1\n[run]\na = 2", "1\n[run]\na = 2"),
        ("$(touch canary)", "$(touch canary)"),
        ("é \udcff", "é \udcff"),
    ],
)
def test_a_changed_value_is_toml_or_else_text(path, value, is_read_as):
    document = written(path, "")
    document.change(f"a.b={value}")
    assert document.values == {"a": {"b": is_read_as}}
    assert type(document.values["a"]["b"]) is type(is_read_as)


def test_an_error_elsewhere_is_still_told_with_its_line_after_a_change(path):
    assert (
        told(path, "[run]\na = 'x'\n", "run.b=1")
        == "job.toml:2: run.a: expected a whole number, got 'x'"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = \n", "job.toml:1: not TOML: Invalid value"),
        ("[run]\na = 1\na = 2\n", "job.toml:3: not TOML: Cannot overwrite a value"),
        ("[run]\n\nx = '''", "job.toml:3: not TOML: "),
        ("[run]\nx = [\n1,\n", "job.toml:3: not TOML: "),
        ("x = 'a\0b'", "job.toml:1: not TOML: "),
        ("\ufeffx = 1", "job.toml:1: not TOML: "),
        (b"x = '\xff'", "job.toml: is not UTF-8 text"),
        (b"\x7fELF\x02\x00\x01", "job.toml:1: not TOML"),
        (f"[run]\nx = {'9' * 5000}", "job.toml: expected numbers of at most 64 bits"),
        (f"[run]\nx = 0x{'9' * 5000}", "job.toml:2: run.x: expected a number of at most 64 bits"),
        (
            "[run]\nx = 9223372036854775808",
            "job.toml:2: run.x: expected a number of at most 64 bits",
        ),
        ("[run]\nx = [1, -nan]", "job.toml:2: run.x[2]: expected a number, got nan"),
        (f"x = {'[' * 9999}", "job.toml: nested too deeply"),
        (f"\n\nx = {'[' * 99}{']' * 99}", "job.toml:3: x: nested too deeply"),
        (f"[{'.'.join('x' * 3000)}]", "job.toml:1: x: nested too deeply"),
        ("#" * 2**18 + "#", "job.toml: has 262145 bytes, expected at most 262144"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(path, text, said):
    assert told(path, text).startswith(said)


def test_what_is_no_file_is_refused(path, tmp_path):
    assert told_of(tmp_path / "missing.toml").endswith("missing.toml: No such file or directory")
    assert told_of(tmp_path).endswith(": is a folder, expected a file")
    assert told_of(Path("/dev/zero")) == "/dev/zero: is not a regular file"
    assert told_of(Path("a" * 5000)).endswith(": File name too long")
    assert told_of(Path("a\0b")).startswith("a\\x00b: ")
    assert told_of(Path("a\nb")) == "a\\nb: No such file or directory"


def told_of(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        Document(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "before", ["# no more\n" * 20_000, "list = [\n" + "'a', # ]\n" * 20_000 + "]\n"]
)
def test_the_line_in_a_large_file_is_found_soon_or_left_out(path, before):
    said = told(path, f"{before}[run]\na = 'x'\n")
    assert said.startswith(("job.toml: run.a: ", f"job.toml:{before.count(chr(10)) + 2}: run.a: "))


def test_thousands_of_errors_are_looked_at_soon(path):
    assert told(path, "[run]\n" + "".join(f"a{i} = 'x'\n" for i in range(2000))).startswith(
        "job.toml:2: run.a0: "
    )


keys = st.sampled_from(["a", "b", "run", '"x y"', "c.d"])
values = st.sampled_from(
    ["1", "'x'", "[1,\n2]", "'''\n[run]\na = 1\n'''", "{a = 1}", '"""\n\n"""', "[\n# ]\n'#'\n]"]
)


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.tuples(keys, values), max_size=6),
    blank=st.sampled_from(["", "\n", "# = [\n"]),
)
def test_the_line_of_a_value_is_the_one_that_it_was_written_on(tmp_path_factory, lines, blank):
    text, expected = "", 0
    for number, (key, value) in enumerate(lines):
        text += f"[t{number}]\n{blank}{key} = {value}\n{blank}"
    expected = text.count("\n") + 2
    path = tmp_path_factory.mktemp("lines") / "job.toml"
    document = written(path, f"{text}[last]\nkey = [\n1,\n'x']\n")
    assert str(document.error(("last", "key", 1), "so")) == f"{path}:{expected}: last.key[2]: so"
    assert str(document.error(("last", "none"), "so")) == f"{path}:{expected - 1}: last.none: so"
    assert str(document.error(("none",), "so")) == f"{path}: none: so"


@pytest.mark.parametrize("name", ["job", "site"])
def test_every_value_of_a_schema_says_what_it_is_and_what_is_expected(name):
    from jsonschema import Draft202012Validator

    schema = schema_of(name)
    Draft202012Validator.check_schema(schema)
    left = list(schema["properties"].values())
    while left:
        one = left.pop()
        assert one["description"]
        assert one["expected"]
        left += one.get("properties", {}).values()
