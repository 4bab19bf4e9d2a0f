"""mpipar's workers as a backend of joblib, and so of scikit-learn::

import joblib
import mpipar.joblib

mpipar.joblib.register()
with joblib.parallel_config(backend="mpipar"):
    joblib.Parallel()(joblib.delayed(abs)(x) for x in [-1, 2, -3])
"""

from mpipar.pool.joblib_hook import register

__all__ = ["register"]
