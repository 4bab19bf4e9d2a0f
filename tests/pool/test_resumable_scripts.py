"""Scripts whose tasks are kept: killed, told to stop, changed, and begun again."""

import os
import random
import resource
import signal
import textwrap
import time
from pathlib import Path

import pytest
from conftest import over, own_lines, python
from killed_script import Campaign
from suite.limits import Limit
from suite.rings import in_ci

from mpipar.command.flags import flag_of
from mpipar.pool.keep_options import parameters

RUN = ("-m", "mpipar", "run")


def undisturbed(folder: Path, count: int) -> str:
    campaign = Campaign(folder, None, count, 0.0)
    out, _ = campaign.finished(campaign.start())
    (folder / "begun").unlink()
    return out


@pytest.mark.parametrize("ranks", [None, *in_ci(2)])
def test_a_killed_script_goes_on_and_evaluates_nothing_twice_that_was_committed(ranks, tmp_path):
    campaign = Campaign(tmp_path, ranks, 60, 0.0005)
    out, twice = campaign.kill_and_resume(2, seed=1)
    assert out == undisturbed(tmp_path, 60)
    assert twice < 60  # what was in flight, or had just come


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(17))
@pytest.mark.parametrize("ranks", [None, 2, 3])
def test_scripts_killed_at_fifty_random_moments(ranks, seed, tmp_path):
    campaign = Campaign(tmp_path, ranks, 400, 0.001)
    kills = random.Random(seed).randrange(1, 5)
    out, _ = campaign.kill_and_resume(kills, seed)
    assert out == undisturbed(tmp_path, 400)


KEPT = ("--output", "run.h5")
STOPS = [signal.SIGTERM, *in_ci(signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)]


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_commits_what_is_done(number, tmp_path):
    campaign = Campaign(tmp_path, None, 40, 0.003)
    process = campaign.start("--output", "run.h5")
    _wait_for_tasks(campaign, 20)
    os.kill(process.pid, number)
    _, err = campaign.finished(process)
    assert process.returncode == 75
    [line] = own_lines(err)
    assert line == (
        f"mpipar run: stopped early ({number.name}); what is done is in run.h5: the same command"
        " with --resume goes on"
    )
    committed = campaign.committed()
    assert len(committed) >= 10
    before = len(campaign.names)
    process = campaign.start("--output", "run.h5", "--resume")
    out, err = campaign.finished(process)
    assert process.returncode == 0
    assert not committed & set(campaign.names[before:])
    assert out == undisturbed(tmp_path, 40)
    assert f"mpipar run: {len(committed):,} of 177 tasks were known" in err


def test_a_script_stops_before_the_end_of_its_job(tmp_path, monkeypatch):
    campaign = Campaign(tmp_path, None, 40, 0.003)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 1000))
    out, err = campaign.finished(process := campaign.start(*KEPT, "--stop-before", "1000"))
    assert (process.returncode, out) == (75, "")
    [line] = own_lines(err)
    assert line.startswith("mpipar run: stopped early (the end of the job is near); ")
    campaign.finished(process := campaign.start(*KEPT, "--resume", "--stop-before", "1"))
    assert process.returncode == 0
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    _, err = campaign.finished(process := campaign.start(*KEPT, "--resume", "--stop-before", "1"))
    assert process.returncode == 2
    assert len(own_lines(err)) == 1


def test_a_full_disk_is_told_and_costs_no_more_than_what_it_could_not_keep(tmp_path):
    campaign = Campaign(tmp_path, None, 40, 0.002)
    process = campaign.start(*KEPT)
    _wait_for_tasks(campaign, 1)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
    out, err = campaign.finished(process)
    assert out == undisturbed(tmp_path, 40), "the script goes on"
    assert process.returncode == 1
    told = own_lines(err)
    assert any("can't be kept: OSError: [Errno 27]" in line for line in told), told
    before = len(campaign.names)
    committed = campaign.committed()
    again, _ = campaign.finished(process := campaign.start(*KEPT, "--resume"))
    assert (process.returncode, again) == (0, out)
    assert not committed & set(campaign.names[before:])


def _wait_for_tasks(campaign: Campaign, count: int) -> None:
    limit = Limit(60)
    while len(campaign.names) < count and not limit.is_over:
        time.sleep(0.005)


SCRIPT = """
    import random
    import sys
    from multiprocessing import Pool

    FACTOR = 3

    def helper(x):
        return x * FACTOR

    def f(x):
        sys.stderr.write(f"f {x}\\n")
        return helper(x) + 0.5

    def g(x):
        sys.stderr.write(f"g {x}\\n")
        return random.random()

    if __name__ == "__main__":
        with Pool(2) as pool:
            print(pool.map(f, range(6)))
            print(list(pool.imap(g, (x for x in range(4)))))
            print(pool.apply(g, (7,)))
"""


def run(folder, *options, script=SCRIPT, ranks=None):
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    return over(ranks)(*RUN, *options, str(path), cwd=folder)


def evaluated(finished):
    return sorted(line for line in own_lines(finished.stderr) if line[:2] in ("f ", "g "))


ALL = sorted([*(f"f {x}" for x in range(6)), *(f"g {x}" for x in (0, 1, 2, 3, 7))])


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (("# nothing", "# else"), []),
        (("FACTOR = 3", "FACTOR = 4"), [f"f {x}" for x in range(6)]),
        (("range(6)", "range(8)"), ["f 6", "f 7"]),
        (("+ 0.5", "+ 1.5"), [f"f {x}" for x in range(6)]),
        (("(7,)", "(8,)"), ["g 8"]),
    ],
)
def test_only_what_has_changed_is_evaluated_again(change, again, tmp_path):
    first = run(tmp_path, "--output", "run.h5")
    assert evaluated(first) == ALL
    second = run(tmp_path, "--output", "run.h5", "--resume", script=SCRIPT.replace(*change))
    assert evaluated(second) == again
    plain = python(str(tmp_path / "script.py"))
    assert second.stdout.splitlines()[0] == plain.stdout.splitlines()[0]
    if not again:
        assert second.stdout == first.stdout


@pytest.mark.parametrize("ranks", [None, *in_ci(2)])
def test_numbers_of_a_seed_are_known_by_it(ranks, tmp_path):
    first = run(tmp_path, "--seed", "5", "--output", "run.h5", ranks=ranks)
    again = run(tmp_path, "--seed", "5", "--output", "run.h5", "--resume", ranks=ranks)
    assert (evaluated(first), evaluated(again)) == (ALL, [])
    assert again.stdout == first.stdout == run(tmp_path, "--seed", "5").stdout
    other = run(tmp_path, "--seed", "6", "--output", "run.h5", "--resume")
    assert evaluated(other) == ALL
    assert other.stdout.splitlines()[1:] == run(tmp_path, "--seed", "6").stdout.splitlines()[1:]


def test_other_scripts_take_what_is_known_and_keep_it(tmp_path):
    run(tmp_path, "--output", "first.h5")
    other = SCRIPT.replace("print(pool.apply(g, (7,)))", "print(pool.map(f, range(3, 9)))")
    second = run(tmp_path, "--known", "first.h5", "--output", "second.h5", script=other)
    # of f 3, 4, 5 there is one outcome each
    assert evaluated(second) == sorted(f"f {x}" for x in range(3, 9))
    third = run(tmp_path, "--known", "second.h5", script=other)
    assert evaluated(third) == []
    assert third.stdout == second.stdout


PATIENT = """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Pool, active_children

    def half(x):
        return x / 2

    def say():
        print("a worker", flush=True)

    def tell(what):
        told.append((what, len(active_children())))

    if __name__ == "__main__":
        told = []
        with Pool(2) as pool:
            assert pool.map(half, range(9)) == [x / 2 for x in range(9)]
            assert list(pool.imap(half, [10, 11])) == [5, 5.5]
            assert pool.apply(half, (12,)) == 6
            tell("known")
            assert len(pool.map(half, range(20))) == 20
            tell("new")
        with ProcessPoolExecutor(2) as executor:
            assert executor.submit(half, 50).result() == 25
            tell("executor")
        with Pool(2) as pool:
            assert all(process.is_alive() for process in pool._pool)
            assert pool.map(half, range(9)) == [x / 2 for x in range(9)]
            tell("looked at")
        with Pool(2) as pool:
            pool.close()
            pool.join()
        with Pool(1, say) as pool:
            assert pool.map(half, [70]) == [35]
            assert pool._pool
            tell("initializer")
        print(told)
"""


@pytest.mark.parametrize("ranks", [None, *in_ci(2)])
def test_no_worker_starts_as_long_as_all_is_known(ranks, tmp_path):
    kept = ("--workers", "2", "--output", "run.h5")
    run(tmp_path, *kept, script=PATIENT, ranks=ranks)
    known = run(tmp_path, *kept, "--resume", script=PATIENT, ranks=ranks)
    said, told = known.stdout.rsplit("\n", 2)[:2]
    # an initializer runs, as what it does can be seen
    assert set(said.splitlines()) == {"a worker"}
    counts = dict(eval(told))
    assert counts == {"known": 0, "new": 0, "executor": 0, "looked at": 2, "initializer": 2}
    longer = PATIENT.replace("20", "30")
    again = run(tmp_path, *kept, "--resume", script=longer, ranks=ranks)
    counts = dict(eval(again.stdout.splitlines()[-1]))
    assert counts["known"] == counts["executor"] == 0
    assert counts["new"] == 2


def test_the_end_of_a_long_range_is_not_looked_at(tmp_path):
    script = """
        from multiprocessing import Pool

        if __name__ == "__main__":
            with Pool(1) as pool:
                values = pool.imap(abs, range(-(10**15), 0))
                print(next(values), next(values))
    """
    for more in ([], ["--resume"]):
        finished = run(tmp_path, "--output", "run.h5", *more, script=script)
        assert finished.stdout == "1000000000000000 999999999999999\n"
    assert "were known" in finished.stderr


def test_what_warnings_and_arrays_look_like_counts(tmp_path):
    script = """
        import sys
        import warnings
        from multiprocessing import Pool

        import numpy as np

        def f(x):
            sys.stderr.write(f"f {x}\\n")
            try:
                warnings.warn("odd", RuntimeWarning)
            except RuntimeWarning:
                return "none"
            return str(np.array([x / 3]))

        warnings.simplefilter("ignore")
        np.set_printoptions(precision=3)
        if __name__ == "__main__":
            with Pool(1) as pool:
                print(pool.map(f, [1]))
    """
    run(tmp_path, "--output", "run.h5", script=script)
    for change in (("=3", "=4"), ('"ignore"', '"error"'), ("# nothing", "")):
        known = ("--known", "run.h5")
        finished = run(tmp_path, *known, script=script.replace(*change))
        assert evaluated(finished) == (["f 1"] if change[1] else [])


def test_a_script_whose_arguments_differ_each_time_is_told_so_once(tmp_path):
    script = """
        import random
        from multiprocessing import Pool
        if __name__ == "__main__":
            with Pool(2) as pool:
                pool.map(abs, [random.random() for _ in range(100)])
                pool.map(abs, [random.random() for _ in range(100)])
    """
    run(tmp_path, "--output", "run.h5", script=script)
    second = run(tmp_path, "--output", "run.h5", "--resume", script=script)
    assert own_lines(second.stderr) == [
        "mpipar run: no task was known: arguments differ from the run before"
    ]


ENDS = {
    "an exception": ("raise KeyError('x')", 1),
    "sys.exit": ("sys.exit(3)", 3),
    "os._exit": ("import os; os._exit(4)", 4),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_file_is_finished_however_the_script_ends(end, tmp_path):
    line, code = ENDS[end]
    script = textwrap.dedent(SCRIPT) + f"    {line}\n"
    first = run(tmp_path, "--output", "run.h5", script=script)
    assert (first.code, evaluated(first)) == (code, ALL)
    assert not (tmp_path / "run.h5.parts").exists()
    second = run(tmp_path, "--output", "run.h5", "--resume", script=script)
    assert (second.code, evaluated(second)) == (code, [])


def test_a_handler_of_the_script_wins(tmp_path):
    script = """
        import os, signal
        from multiprocessing import Pool
        if __name__ == "__main__":
            signal.signal(signal.SIGTERM, lambda *_: print("mine"))
            with Pool(1) as pool:
                os.kill(os.getpid(), signal.SIGTERM)
                print(pool.map(abs, [-1]))
    """
    found = run(tmp_path, "--output", "run.h5", script=script)
    assert (found.code, found.stdout) == (0, "mine\n[1]\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--resume"], "argument --resume: needs --output"),
        (["--keep-pickled"], "argument --keep-pickled: needs --output"),
        (["--output", "run.txt"], "argument --output: expected a file of .h5 or .hdf5"),
        (["--known", "nothing.h5"], "nothing.h5"),
    ],
)
def test_options_that_can_not_be_used(options, problem, tmp_path):
    found = run(tmp_path, *options)
    assert found.code == 2
    [line] = own_lines(found.stderr)
    assert problem in line


def test_types_that_are_not_kept_are_named_once(tmp_path):
    script = """
        from multiprocessing import Pool
        class Odd:
            pass
        def f(x):
            return Odd()
        if __name__ == "__main__":
            with Pool(1) as pool:
                pool.map(f, range(5))
                pool.map(f, range(5, 9))
    """
    found = run(tmp_path, "--output", "run.h5", script=script)
    [line] = own_lines(found.stderr)
    assert line.startswith("mpipar run: outcomes of type __main__.Odd are not kept")


def test_the_table_of_options_is_that_of_the_command_line():
    page = (Path(__file__).parents[2] / "docs" / "resumable_scripts.md").read_text()
    told = {row.split("`")[1].split()[0] for row in page.splitlines() if row.startswith("| `--")}
    assert told == {flag_of(option) for option in parameters().values()}
