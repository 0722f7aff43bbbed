"""A credit job whose matrix does not fit its memory: the same outputs, and nothing held whole."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from credit_kit import brought
from killed_kit import Killed, kept

from engine.cluster import run_cluster
from engine.errors import EngineError, LocalProtocolError
from models import share_file
from models.credit import credit_program
from models.credit_encode import CreditTable
from models.parameters import CreditParameters
from parties.world import generate_world
from protocols.join_order import split_order, training_slots
from protocols.split import training_mask
from protocols.table import PartyTable

SMALL, ROWS, LIMIT = 5 << 18, 600, 2 << 20
JOB = {"max_bins": 2, "iv_threshold": 0.01, "correlation_max": 0.6, "vif_steps": 1,
       "max_features": 3, "roc_points": 5, "bands": 5, "examples": 4, "reasons": 2,
       "inference": True}


def tables(rows, features=6):
    return [PartyTable(t.name, t.id_name, t.ids, {c: t.columns[c] for c in [*t.columns][:features]},
                       t.label_name, t.label) for t in generate_world(rows, 4)]


def job(folder, memory, order, kill=None):
    """Outputs of the initiator, whose rows come in that order; what a job leaves in its folders.

    Killed by party 2 after its step `kill` of the joint training.
    """
    parties, parameters = tables(ROWS), CreditParameters(**JOB, memory=memory)

    async def program(mpc):
        checkpoints = kept(folder, mpc.pid, kill)
        if mpc.pid == 0:
            checkpoints.keep_order(order)
        found = await credit_program(
            mpc, parties=[t.name for t in parties], table=parties[mpc.pid], parameters=parameters,
            progress=lambda *_: None, checkpoints=checkpoints, **brought(parties))
        checkpoints.clear()
        return found
    return run_cluster(program, 4)[0]["outputs"], [p for p in folder.glob("**/*") if p.is_file()]


def test_a_job_resumed_with_files_gives_the_outputs_of_one_in_memory(tmp_path, monkeypatch):
    made, read = [], share_file.ShareFile.read

    class Watched(share_file.ShareFile):
        def __init__(self, rows, columns, block_rows, folder):
            super().__init__(rows, columns, block_rows, folder)
            made.append((rows, columns, block_rows, folder))

        def read(self, start, stop):
            assert 16 * (stop - start) * self.columns <= SMALL // 3 // 4
            return read(self, start, stop)
    monkeypatch.setattr("models.logistic_design.ShareFile", Watched)
    bank, parameters = tables(ROWS)[0], CreditParameters(**JOB)
    slots = training_slots(bank.rows, parameters.test_share)
    order = split_order(training_mask(bank.ids, bank.label, parameters.test_share,
                                      parameters.split_seed), slots)
    inside, left = job(tmp_path / "memory", None, order)
    assert not made and not left
    with pytest.raises((EngineError, Killed)):
        job(tmp_path / "file", SMALL, order, kill=1)
    assert len(made) == 2 * 4
    # Encoded anew: the files ended with the job that made them.
    outside, left = job(tmp_path / "file", SMALL, order)
    assert not left
    folders = {tmp_path / "file" / str(pid) for pid in range(4)}
    # Of each party the matrix, and of it the columns of either model.
    assert {one[3] for one in made} == folders and len(made) == (2 + 3) * 4
    assert {one[:2] for one in made} == {(sum(slots), columns) for columns in (25, 4, 7)}
    assert max(rows / block for rows, columns, block, _ in made if columns == 25) > 1
    same(outside, inside)


def same(found, expected):
    """Alike but for the truncation error, by which two runs of one job differ as much."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            same(*pair)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=2e-3)
    else:
        assert found == expected


@pytest.mark.parametrize("memory", [LIMIT, None])
def test_encoding_holds_no_more_than_its_memory(memory, monkeypatch):
    """NumPy reports its buffers to tracemalloc; the parties run in one process."""
    parties = tables(1600)
    parameters = CreditParameters(max_bins=2, examples=0, memory=memory)
    seen = []

    async def program(mpc):
        async def together():
            await mpc.output(mpc.input(mpc.array(np.zeros(1)), 0))
        made = CreditTable(mpc, [t.name for t in parties], parties[mpc.pid], parameters=parameters,
                           **brought(parties))
        await made.match()
        await together()
        if mpc.pid == 0:
            gc.collect()
            tracemalloc.reset_peak()
            seen.append(tracemalloc.get_traced_memory()[0])
        await together()
        await made.encode()
        await together()
        if mpc.pid == 0:
            seen.append(tracemalloc.get_traced_memory()[1])
        return made.design.shares.size
    tracemalloc.start()
    try:
        sizes = run_cluster(program, 4)
    finally:
        tracemalloc.stop()
    matrix = 2 * 1602 * 25
    rise = (seen[1] - seen[0]) / 4
    # A fifth more for frames that wait for a slower party: how many there are is a matter of time.
    if memory is None:
        assert sizes == [matrix] * 4 and rise > 1.2 * LIMIT, "what the measure sees without a limit"
    else:
        assert sizes == [0] * 4 and rise < 1.2 * memory


def test_shapes_that_the_memory_is_not_for_are_refused_by_name():
    parties = tables(400)
    few = brought(parties)["inputs"]
    wide = {t.name: [f"c{k}" for k in range(500)] for t in parties}

    def refused(rows, inputs):
        with pytest.raises(LocalProtocolError) as caught:
            CreditTable(None, list(few), parties[0], inputs, dict.fromkeys(few, rows),
                        CreditParameters(memory=SMALL))
        assert caught.value.code == "too-little-memory" and caught.value.remedy
        return str(caught.value)
    assert f"memory is {SMALL} bytes, expected at least {3 * 256 * 2001 * 16 * 4} for 402 rows " \
        "of 2000 features" in refused(400, wide)
    assert "rows of 24 features" in refused(100_000, few)
    CreditTable(None, list(few), parties[0], few, dict.fromkeys(few, 100_000),
                CreditParameters(memory=256 * SMALL))
