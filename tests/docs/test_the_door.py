"""What greets those who come to carry mpipar on: links lead somewhere, files parse, and what they
name is there.
"""

import json
import re
import subprocess

import pytest
from conftest import python
from pages import FENCE, ROOT

import mpipar

yaml = pytest.importorskip("yaml")

PAGES = (
    "CONTRIBUTING.md",
    "VISION.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "RELEASING.md",
    ".github/pull_request_template.md",
)
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
YAML = sorted(
    path
    for pattern in (".github/**/*.yml", ".pre-commit-config.yaml", "CITATION.cff")
    for path in ROOT.glob(pattern)
)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def parts_of_ci():
    script = read(".ci/run")
    return {
        name: set(re.search(rf"^{name}=\((.*)\)$", script, re.MULTILINE)[1].split())
        for name in ("parts", "by_name")
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    """Those of docs/decisions are tested in the site, and by their names here."""
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", read(page))):
        if not link.startswith("https://"):
            assert (ROOT / page).parent.joinpath(link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", [*PAGES, *(f"docs/decisions/{path.name}" for path in DECISIONS)])
def test_files_and_tests_that_a_page_names_are_there(page):
    text = read(page)
    for name in re.findall(r"`((?:tests|mpipar|docs|\.ci|\.devcontainer)/[\w./]*)`", text):
        assert (ROOT / name).exists(), name
    for name, path in re.findall(r"`(test_\w+)` in\s+\[[^\]]+\]\(([^)]+)\)", text):
        assert f"def {name}(" in (ROOT / page).parent.joinpath(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_targets_and_parts_that_a_page_names_are_there(page):
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    text = read(page)
    commands = re.findall(r"`make ([\w-]+)[^`]*`", text)
    commands += re.findall(r"^make ([\w-]+)", text, re.MULTILINE)
    assert set(commands) <= targets
    named = {name for line in re.findall(r"`\.ci/run ([^`]*)`", text) for name in line.split()}
    assert named <= parts_of_ci()["parts"] | parts_of_ci()["by_name"]


def test_every_decision_is_listed_and_says_what_holds_it():
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", read("docs/decisions/index.md")))
    assert listed == {path.name for path in DECISIONS} - {"index.md"}
    for name in listed:
        text = read(f"docs/decisions/{name}")
        assert text.startswith("# ")
        assert "**Decided:**" in text
        assert len(text.splitlines()) <= 80, f"{name} is more than a page"


@pytest.mark.parametrize("path", YAML, ids=[str(path.relative_to(ROOT)) for path in YAML])
def test_yaml_is_valid(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_citation_has_what_its_format_requires():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == mpipar.__version__
    assert all("name" in author or "family-names" in author for author in citation["authors"])


def test_workflows_call_every_part_of_ci_and_nothing_else():
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    assert set(jobs["part"]["strategy"]["matrix"]["part"]) == parts_of_ci()["parts"]
    for part in set.union(*parts_of_ci().values()):
        assert f"part_{part}() {{" in read(".ci/run")


def test_workflows_test_each_python_that_is_supported():
    jobs = yaml.safe_load(read(".github/workflows/pythons.yml"))["jobs"]
    matrix = jobs["unit"]["strategy"]["matrix"]
    assert matrix["python"][0] == re.search(r"python_requires = >=([\d.]+)", read("setup.cfg"))[1]
    assert [include["dependencies"] for include in matrix["include"]] == ["lowest"]
    targets = re.findall(r"run: make ([\w-]+)", read(".github/workflows/pythons.yml"))
    assert all(f"\n{target}:" in read("Makefile") for target in targets)


def test_hooks_call_what_make_installs():
    [local] = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    for hook in local["hooks"]:
        program, *arguments = hook["entry"].split()
        assert program.startswith(".venv/bin/")
        for argument in arguments:
            assert not argument.startswith("tests/") or (ROOT / argument).exists()


def test_the_container_installs_what_ci_would():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    dockerfile = read(f".devcontainer/{container['build']['dockerfile']}")
    wanted = re.search(r"install (slurm-wlm .*) \|\| exit 1", read(".ci/run"))[1].split()
    assert set(wanted) <= set(dockerfile.split())
    assert container["postCreateCommand"].split()[0] == "make"


def test_the_shell_reads_what_it_is_given():
    ended = subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_lowest_versions_are_those_of_setup_cfg():
    constraints = python("tests/lowest.py", cwd=ROOT).stdout.split()
    for name in ("numpy", "h5py", "mpi4py", "cloudpickle", "pillow"):
        [version] = [line.partition("==")[2] for line in constraints if line.startswith(f"{name}=")]
        assert re.search(rf"^\s+(images = )?{name} >= {version}", read("setup.cfg"), re.MULTILINE)


def test_the_glossary_is_short_and_says_where_each_word_lives():
    glossary = read("docs/inside.md").partition("## Words")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", glossary, re.MULTILINE)
    words = [word for word, places in rows if "`" in places]
    assert 20 <= len(words) <= 40
    assert len(set(words)) == len(words)
    for word, places in rows:
        for place in re.findall(r"`([^`]+)`", places):
            assert (ROOT / "mpipar" / place).exists(), f"{word} doesn't live in {place}"
