from dataclasses import replace
from pathlib import Path

import pytest

from mpipar import BadInput
from mpipar.batch.site import Site, read_site, user_profile


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Be a user without a profile."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_profile_nothing_is_special():
    assert read_site() == Site(launcher="mpirun", start_seconds=300.0)


def test_the_profile_is_where_programs_have_theirs(home, monkeypatch):
    assert user_profile() == home / ".config/mpipar/site.toml"
    write(user_profile(), "partition = 'a'")
    assert read_site() == Site(partition="a", text="partition = 'a'")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "elsewhere"))
    assert read_site() == Site()
    write(user_profile(), "partition = 'b'")
    assert read_site().partition == "b"
    assert read_site(write(home / "own.toml", "partition = 'c'")).partition == "c"


def test_a_profile_that_is_named_must_be_there(home):
    with pytest.raises(BadInput, match="No such file"):
        read_site(home / "site.toml")


def test_all_keys_come_through(home):
    path = write(
        home / "site.toml",
        """
        launcher = "srun --mpi=pmix"
        partition = "a,b"
        account = "me"
        prologue = '''
        module load python
        '''
        python = "/opt/my python/bin/python"
        scratch = "~/scratch"
        start_seconds = 1.5
        sbatch = { qos = "high", exclusive = true, nice = 0 }
        """,
    )
    site = read_site(path)
    assert site.text == path.read_text()
    assert replace(site, text="") == Site(
        "srun --mpi=pmix",
        "a,b",
        "me",
        "        module load python\n        ",
        "/opt/my python/bin/python",
        "~/scratch",
        1.5,
        {"qos": "high", "exclusive": True, "nice": 0},
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("luncher = 'x'", "site.toml:1: luncher: there is no such key; did you mean launcher?"),
        ("launcher = ''", "site.toml:1: launcher: expected a command such as"),
        ("launcher = '  '", "site.toml:1: launcher: expected a command such as"),
        (
            "launcher = 'x'\nstart_seconds = 0",
            "site.toml:2: start_seconds: expected a number of seconds above 0",
        ),
        ("start_seconds = nan", "site.toml:1: start_seconds: expected a number, got nan"),
        (
            "start_seconds = true",
            "site.toml:1: start_seconds: expected a number of seconds above 0, got true",
        ),
        ("partition = 'a b'", "site.toml:1: partition: expected a name"),
        ("partition = '-a'", "site.toml:1: partition: expected a name"),
        ('account = "a\\n"', "site.toml:1: account: expected a name"),
        ("python = '-c'", "site.toml:1: python: expected a program"),
        ("scratch = ''", "site.toml:1: scratch: expected a folder"),
        ("prologue = 3", "site.toml:1: prologue: expected lines of shell"),
        ("[sbatch]\nwrap = 'x'", "site.toml:2: sbatch.wrap: can't be set here"),
        ("[sbatch]\nwra = 'x'", "site.toml:2: sbatch.wra: can't be set here"),
        ("[sbatch]\nUid = 'x'", "site.toml:1: sbatch: expected long names of options"),
        (
            "[sbatch]\nqos = false",
            "site.toml:2: sbatch.qos: expected text in one line, a whole number, or true",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, said):
    with pytest.raises(BadInput) as caught:
        read_site(write(Path("site.toml"), text))
    assert str(caught.value).startswith(said)


def test_relative_folders_are_in_the_scratch_folder(home, monkeypatch):
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    assert Site().folder("a/b") == home / "a/b"
    assert Site(scratch="~/big").folder("a") == home / "big/a"
    assert Site(scratch="$SCRATCH/runs").folder("a") == Path("/scratch/me/runs/a")
    assert Site(scratch="$SCRATCH/runs").folder("../a") == Path("/scratch/me/a")
    assert Site(scratch="here").folder("a") == home / "here/a"
    assert Site(scratch="$SCRATCH").folder("/a/b") == Path("/a/b")
