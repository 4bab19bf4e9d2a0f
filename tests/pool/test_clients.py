"""Programs that take a pool of somebody else: they compute the same numbers with ours as with
none.
"""

import pytest
from conftest import UNBOUND, chosen_ranks, mpirun, over, python
from suite.rings import in_ci

EMCEE = """
import numpy as np, emcee
from mpipar import Pool

def log_prob(theta, center):
    return -0.5 * np.sum((theta - center) ** 2)

def chain(pool):
    np.random.seed(42)
    sampler = emcee.EnsembleSampler(12, 3, log_prob, args=[np.arange(3)], pool=pool)
    sampler.run_mcmc(np.random.randn(12, 3), 20)
    return sampler.get_chain()

with Pool() as pool:
    found = chain(pool)
serial = chain(None)
print(found.shape, np.ptp(serial) > 1, np.array_equal(found, serial))
"""

SCIPY = """
from mpipar import Pool
from scipy.optimize import differential_evolution, rosen

def best(workers):
    options = {"seed": 3, "maxiter": 8, "popsize": 5, "updating": "deferred", "polish": False}
    return differential_evolution(rosen, [(-2, 2)] * 3, workers=workers, **options)

with Pool() as pool:
    found = best(pool.map)
serial = best(1)
print(found.nfev == serial.nfev > 100, found.fun == serial.fun, (found.x == serial.x).all())
"""

SKLEARN = """
import joblib
import mpipar.joblib
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

X, y = load_iris(return_X_y=True)

def scores(n_jobs):
    forest = RandomForestClassifier(n_estimators=5, random_state=1)
    found = cross_val_score(forest, X, y, cv=3, n_jobs=n_jobs)
    grid = {"C": [0.01, 1.0, 100.0]}
    search = GridSearchCV(LogisticRegression(max_iter=2000), grid, cv=3, n_jobs=n_jobs).fit(X, y)
    return found.tolist(), search.best_params_, search.cv_results_["mean_test_score"].tolist()

serial = scores(None)
mpipar.joblib.register()
with joblib.parallel_config(backend="mpipar"):
    found = scores(-1)
print(len(serial[0]), found == serial)
"""

# The example of emcee's documentation, "Parallelization", but for the number of steps and what it
# prints.
AS_DOCUMENTED = """
import os

os.environ["OMP_NUM_THREADS"] = "1"

import emcee
import time
import numpy as np

def log_prob(theta):
    t = time.time() + np.random.uniform(0.0005, 0.0008)
    while True:
        if time.time() >= t:
            break
    return -0.5 * np.sum(theta**2)

np.random.seed(42)
initial = np.random.randn(32, 5)
nwalkers, ndim = initial.shape
nsteps = 10

from multiprocessing import Pool

with Pool() as pool:
    sampler = emcee.EnsembleSampler(nwalkers, ndim, log_prob, pool=pool)
    start = time.time()
    sampler.run_mcmc(initial, nsteps, progress=True)
    end = time.time()
    multi_time = end - start
    print("Multiprocessing took {0:.1f} seconds".format(multi_time)[:20])
print(sampler.get_chain().sum().hex())
"""

EVERYWHERE = [(chosen_ranks(2)[0], 1), *in_ci((None, 1), (1, 1), (3, 1), (2, 2))]
"""Ranks, and workers of each; more than one are not the script's to ask for."""


def printed(finished) -> str:
    assert finished.code == 0, finished.stderr
    return finished.stdout


@pytest.fixture
def run(tmp_path):
    """Return how to run a script: plainly, over ranks, or with several workers in each of them."""

    def run_script(script: str, ranks: int | None, workers: int = 1) -> str:
        path = tmp_path / "script.py"
        path.write_text(script)
        if workers == 1:
            return printed(over(ranks)(str(path)))
        return printed(
            mpirun(ranks, "-m", "mpipar", "run", "--workers", str(workers), str(path), env=UNBOUND)
        )

    return run_script


@pytest.mark.ci
@pytest.mark.each_mpi
@pytest.mark.parametrize("place", EVERYWHERE)
def test_emcee_scipy_and_scikit_learn_find_what_they_do_serially(place, run):
    """All in one script, as half of what each takes is to load the others."""
    assert run(EMCEE + SCIPY + SKLEARN, *place) == "(20, 12, 3) True True\nTrue True True\n3 True\n"


@pytest.mark.ci
def test_the_documented_script_of_emcee_runs_as_it_is(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(AS_DOCUMENTED)
    (tmp_path / "serial.py").write_text(AS_DOCUMENTED.replace("pool=pool", "pool=None"))
    title, chain = printed(python(str(tmp_path / "serial.py"))).splitlines()
    for launch in (python, over(2)):
        assert printed(launch("-m", "mpipar", "run", str(path))) == f"{title}\n{chain}\n"
