"""The job files and site profiles in the documentation are valid ones, and it names every key."""

import re

import pages
import pytest
from pages import ROOT

from mpipar.batch.document import Document, schema_of
from mpipar.batch.job_file import read_job
from mpipar.batch.site import read_site

PROFILES = "docs/sites.md"
JOBS = [text for page in pages.PAGES if page != PROFILES for text in pages.documents(page)]


def test_there_are_job_files():
    assert {*JOBS} >= {*pages.documents("README.md"), *pages.documents("docs/slurm.md")} > set()


@pytest.mark.parametrize("text", JOBS)
def test_job_files(text, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "job.toml"
    path.write_text(text)
    document = Document(path)
    if "run" not in document.values:  # a part of one, or a profile
        document.put(("run", "driver"), "pi", "test")
    assert read_job(document, tmp_path).arguments


@pytest.mark.parametrize("text", pages.documents(PROFILES))
def test_profiles(text, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(text)
    assert read_site(path).text == text


def keys(schema: dict, prefix: str = "") -> list[str]:
    found = []
    for name, inner in schema.get("properties", {}).items():
        found += keys(inner, f"{prefix}{name}.") if "properties" in inner else [f"{prefix}{name}"]
    return found


@pytest.mark.parametrize(("schema", "page"), [("job", "docs/slurm.md"), ("site", PROFILES)])
def test_every_key_is_told_of(schema, page):
    assert len(keys(schema_of(schema))) > 5
    for key in keys(schema_of(schema)):
        assert re.search(rf"^\|.*`{re.escape(key)}[`=]", pages.text_of(page), re.MULTILINE), key
