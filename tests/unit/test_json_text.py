"""JSON as mpipar writes and reads it, in a process whose script has changed :mod:`json`."""

import json
from json.encoder import JSONEncoder

import pytest

from mpipar.base.json_text import compact_json, json_text, json_value
from mpipar.runtime import journal
from mpipar.store import values

VALUE = {"a": [1, 2.5, None], "b": "é\n"}


@pytest.fixture(autouse=True)
def changed_json(monkeypatch):
    """Do to the module what scripts do: other separators, and functions of another library."""
    plain = json.dumps(VALUE), json.dumps(VALUE, separators=(",", ":"))
    monkeypatch.setattr(JSONEncoder, "item_separator", ";")
    monkeypatch.setattr(json, "dumps", lambda value: b"other")
    monkeypatch.setattr(json, "loads", lambda text: "other")
    return plain


def test_text_is_as_json_writes_it(changed_json):
    assert (json_text(VALUE), compact_json(VALUE)) == changed_json


@pytest.mark.parametrize("kind", [str, str.encode, lambda text: bytearray(text.encode())])
def test_text_and_bytes_are_read(kind):
    assert json_value(kind(json_text(VALUE))) == VALUE


@pytest.mark.parametrize("text", ["", "[1", b"\xff", b'"\xff"'])
def test_nonsense_is_no_json(text):
    with pytest.raises(ValueError):
        json_value(text)


def test_a_nan_is_refused_where_it_cannot_be_read_elsewhere():
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact_json([float("nan")])


def test_journals_and_stored_values_are_read_again(tmp_path):
    journal.append(tmp_path / "pi-1.journal", journal.STARTED, ranks=2)
    assert [event["ranks"] for event in journal.read(tmp_path / "pi-1.journal")] == [2]
    assert values.load(values.dump(VALUE)) == VALUE
