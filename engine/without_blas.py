"""Numba's support of NumPy, loaded without SciPy.

With its first kernel Numba loads what compiled code may use of NumPy, and looks for a BLAS by
importing SciPy's linear algebra. That is a fifth of all the processor time that a party takes until
it can compute. The answer only decides whether compiled code may call `numpy.cov`; what else needs
a BLAS looks for it when it is compiled. The engine's kernels compute with integers alone.
"""

import importlib
import sys

_BLAS = 'scipy.linalg.cython_blas'


def load() -> None:
    """Load it now, unless this process has SciPy's linear algebra already."""
    if _BLAS in sys.modules:
        return
    sys.modules[_BLAS] = None  # type: ignore[assignment]  # importing it is an ImportError
    try:
        importlib.import_module('numba.np.arraymath')
    finally:
        del sys.modules[_BLAS]

