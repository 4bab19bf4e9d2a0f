"""Packages that take a pool, as they are: killed and begun again, with the same numbers."""

import importlib.util
import textwrap

import pytest
from killed_script import Campaign, kill
from suite.limits import Limit

pytestmark = pytest.mark.campaign

TASK = """
    import os
    import sys
    import time
    from multiprocessing import Pool

    import numpy as np

    def noted():
        time.sleep(0.001)
        with open(sys.argv[3], "a") as file:
            file.write("task\\n")

    def logarithm(x):
        noted()
        return -0.5 * float(np.sum(np.square(x)))

    def cost(x):
        noted()
        return float(np.sum(np.square(np.asarray(x) - 0.5)))
"""
CLIENTS = {
    "emcee": """
        import emcee
        if __name__ == "__main__":
            np.random.seed(1)
            start = np.random.randn(12, 2)
            with Pool(2) as pool:
                sampler = emcee.EnsembleSampler(12, 2, logarithm, pool=pool)
                sampler.run_mcmc(start, 20)
            print(sampler.get_chain().tobytes().hex())
    """,
    "dynesty": """
        import dynesty
        def cube(u):
            return 4 * u - 2
        if __name__ == "__main__":
            with Pool(2) as pool:
                sampler = dynesty.NestedSampler(
                    logarithm, cube, 2, nlive=30, pool=pool, queue_size=2,
                    rstate=np.random.default_rng(3),
                )
                sampler.run_nested(maxiter=60, print_progress=False)
            print(repr(sampler.results.logz[-1]))
    """,
    "scipy": """
        from scipy.optimize import differential_evolution
        if __name__ == "__main__":
            with Pool(2) as pool:
                found = differential_evolution(
                    cost, [(-1, 1)] * 2, workers=pool.map, updating="deferred", seed=2, maxiter=6
                )
            print(found.x.tobytes().hex(), found.nfev)
    """,
    "sklearn": """
        import joblib
        from sklearn.datasets import make_classification
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_score
        class Noted(LogisticRegression):
            def fit(self, X, y):
                noted()
                return super().fit(X, y)
        if __name__ == "__main__":
            X, y = make_classification(100, random_state=0)
            with joblib.parallel_config(backend="mpipar", n_jobs=2):
                for c in np.linspace(0.1, 1, 8):
                    print(cross_val_score(Noted(C=c), X, y, cv=5).tobytes().hex())
    """,
    "p_tqdm": """
        from p_tqdm import p_map
        if __name__ == "__main__":
            print(p_map(cost, [[x, x] for x in range(60)], num_cpus=2, disable=True))
    """,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_go_on_with_the_same_numbers(client, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # where the key is
    if importlib.util.find_spec(client) is None:
        pytest.skip(f"{client} isn't installed")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(TASK) + textwrap.dedent(CLIENTS[client]))
    campaign = Campaign(tmp_path, None, 0, 0.0, script=script)
    plain, err = campaign.finished(campaign.start())
    assert plain, err
    tasks = len(campaign.names)
    (tmp_path / "begun").unlink()
    # dynesty's tasks return objects of classes of its own
    options = ["--output", "run.h5", *["--keep-pickled"] * (client == "dynesty")]
    process = campaign.start(*options)
    limit = Limit(60)
    while len(campaign.names) < tasks // 2 and process.poll() is None and not limit.is_over:
        pass
    kill(process)
    process = campaign.start(*options, "--resume")
    out, err = campaign.finished(process)
    assert out == plain, err
    assert len(campaign.names) < tasks + 50
