"""The checking mode finds overflow inside a computation; encoding refuses it at the door."""

import numpy as np
import pytest

from engine.cluster import run_cluster
from engine.errors import EngineError


async def square(mpc):
    x = mpc.input(mpc.array(np.array([3.0, 2.0**22])), senders=0)
    return await mpc.output(x * x)


async def cube(mpc):
    x = mpc.input(mpc.array(np.array([3.0, 2.0**15])), senders=0)
    return await mpc.output(x * x * x)


@pytest.mark.parametrize('m', [3, 4, 5])
def test_overflow_is_found(m):
    with pytest.raises(EngineError, match='overflow'):
        run_cluster(square, m, checking=True)


def test_overflow_of_an_intermediate_result_is_found():
    with pytest.raises(EngineError, match='overflow'):
        run_cluster(cube, 4, checking=True)


def test_checking_leaves_good_results_alone():
    async def program(mpc):
        x = mpc.input(mpc.array(np.array([3.0, -2.5])), senders=0)
        return await mpc.output(x * x * x)
    for result in run_cluster(program, 4, checking=True):
        assert np.allclose(result, [27, -15.625], atol=1e-4)


def test_encoding_out_of_range_raises():
    async def program(mpc):
        return mpc.array(np.array([2.0**44]))
    with pytest.raises(OverflowError, match='outside the fixed-point range'):
        run_cluster(program, 4)
