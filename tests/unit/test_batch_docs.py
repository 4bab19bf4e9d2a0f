"""The job files and site profiles in the documentation are valid ones, and it names every key."""

import re
from pathlib import Path

import pytest

from mpipar.batch.document import Document, schema_of
from mpipar.batch.job_file import read_job
from mpipar.batch.site import read_site

ROOT = Path(__file__).parents[2]
DOCS = {name: (ROOT / name).read_text() for name in ("README.md", "docs/slurm.md", "docs/sites.md")}


def blocks(name: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", DOCS[name], re.DOTALL)


@pytest.mark.parametrize("text", [*blocks("README.md"), *blocks("docs/slurm.md")])
def test_job_files(text, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "job.toml"
    path.write_text(text)
    document = Document(path)
    if "run" not in document.values:  # a part of one, or a profile
        document.put(("run", "driver"), "pi", "test")
    assert read_job(document, tmp_path).arguments


@pytest.mark.parametrize("text", blocks("docs/sites.md"))
def test_profiles(text, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(text)
    assert read_site(path).text == text


def keys(schema: dict, prefix: str = "") -> list[str]:
    found = []
    for name, inner in schema.get("properties", {}).items():
        found += keys(inner, f"{prefix}{name}.") if "properties" in inner else [f"{prefix}{name}"]
    return found


@pytest.mark.parametrize(("schema", "page"), [("job", "docs/slurm.md"), ("site", "docs/sites.md")])
def test_every_key_is_told_of(schema, page):
    assert len(keys(schema_of(schema))) > 5
    for key in keys(schema_of(schema)):
        assert re.search(rf"^\|.*`{re.escape(key)}[`=]", DOCS[page], re.MULTILINE), key
