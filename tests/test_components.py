"""Connected components over secret edges: the same partition as scipy's, whatever the graph."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from engine_kit import OF_PROGRAMS, SIZES, secret

import protocols.components as module
from engine.cluster import run_cluster
from protocols.components import components, iterations, public_components, with_edges


def grouped(edges, nodes, m=4, t=None, **options):
    async def program(mpc):
        return await mpc.output(await components(mpc, secret(mpc, edges), nodes, **options))

    return run_cluster(program, m, t)[0]


def assert_same_groups(label, edges, nodes):
    expected = public_components(edges, nodes)
    pairs = set(zip(label.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == len(set(label.tolist())) == len(set(expected.tolist()))
    # The group's number is that of one of its members.
    assert (expected[label] == expected).all()


PATH = np.random.default_rng(5).permutation(16)
GRAPHS = {
    "nothing": (np.array([[0, 0], [2, 2]]), 3),
    "one edge": (np.array([[2, 0]]), 4),
    "star inwards": (np.column_stack([np.full(8, 8), np.arange(8)]), 9),
    "star outwards": (np.column_stack([np.arange(1, 9), np.zeros(8, int)]), 9),
    "path": (np.column_stack([PATH[:-1], PATH[1:]]), 16),
    "ascending path": (np.column_stack([np.arange(11), np.arange(1, 12)]), 12),
    "circles": (np.array([[0, 4], [4, 2], [2, 0], [1, 3], [3, 5], [5, 1], [1, 5]]), 7),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_shapes_that_are_hard(name):
    edges, nodes = GRAPHS[name]
    assert_same_groups(grouped(edges, nodes, stop_early=True), edges, nodes)


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs(seed):
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(5, 40))
    edges = rng.integers(0, nodes, (int(rng.integers(1, 2 * nodes)), 2))
    assert_same_groups(grouped(edges, nodes, stop_early=True), edges, nodes)


def test_a_thousand_small_graphs_at_once():
    """Side by side in one graph: every labelled graph of three nodes and many random ones."""
    rng = np.random.default_rng(7)
    pairs = [(0, 1), (0, 2), (1, 2)]
    edges = [(3 * k + a, 3 * k + b) for k in range(8) for j, (a, b) in enumerate(pairs)
             if k >> j & 1]
    nodes = 24
    for _ in range(992):
        size = int(rng.integers(2, 6))
        edges += (nodes + rng.integers(0, size, (int(rng.integers(0, size + 1)), 2))).tolist()
        nodes += size
    edges = np.array(edges)
    assert_same_groups(grouped(edges, nodes, stop_early=True), edges, nodes)


@pytest.mark.parametrize("m, t", SIZES[1:])
def test_every_deployment_without_an_opened_bit(m, t):
    edges = np.array([[0, 3], [3, 1], [2, 2]])
    assert_same_groups(grouped(edges, 5, m, t), edges, 5)


def test_no_edges_at_all():
    async def program(mpc):
        return await mpc.output(await components(mpc, mpc.array(np.zeros((0, 2), int)), 3))

    assert run_cluster(program, 4)[0].tolist() == [0, 1, 2]


def test_edges_that_arrive_later():
    first, more = np.array([[0, 1], [2, 3]]), np.array([[1, 3], [5, 4]])

    async def program(mpc):
        group = await components(mpc, secret(mpc, first), 7, stop_early=True)
        return await mpc.output(await with_edges(mpc, group, secret(mpc, more, 2),
                                                 stop_early=True))

    assert_same_groups(run_cluster(program, 4)[0], np.concatenate([first, more]), 7)


def simulated(edges, nodes):
    """Iterations that the algorithm takes in the clear, ties broken as on shares."""
    parent, star, count = np.arange(nodes), np.ones(nodes, bool), 0
    both = np.concatenate([edges, edges[:, ::-1]])
    while (parent[edges[:, 0]] != parent[edges[:, 1]]).any() or not star.all():
        count += 1
        new, hit = parent.copy(), np.zeros(nodes, bool)
        for only_lower in (True, False):
            chosen: dict[int, int] = {}
            for u, v in both:
                ours, theirs = parent[u], parent[v]
                if star[u] and (theirs < ours if only_lower else theirs != ours):
                    chosen.setdefault(ours, theirs)
            for root, target in chosen.items():
                if only_lower:
                    new[root], hit[target] = target, True
                elif new[root] == root and not hit[root]:
                    new[root] = target
        parent = new[new]
        star = parent[parent] == parent
        deep = np.flatnonzero(~star)
        star[parent[parent[deep]]] = False
        star &= star[parent]
    return count


def test_the_iterations_suffice():
    rng = np.random.default_rng(0)
    graphs = []
    for nodes in (2, 3, 7, 40, 200):
        order = rng.permutation(nodes)
        graphs += [(np.column_stack([order[:-1], order[1:]]), nodes),
                   (np.column_stack([np.arange(nodes - 1), np.arange(1, nodes)]), nodes)]
        graphs += [(rng.integers(0, nodes, (k * nodes // 4, 2)), nodes)
                   for k in (1, 2, 3, 4, 8) for _ in range(6) if k * nodes >= 4]
    for edges, nodes in graphs:
        assert simulated(edges, nodes) <= iterations(nodes)


def frames_of(edges, nodes):
    seen = defaultdict(list)

    def tap(source, target, frame, payload):
        if frame.kind in OF_PROGRAMS:
            seen[source, target].append((frame.operation, frame.tag, frame.length))
        return [(frame, payload)]

    async def program(mpc):
        await (await components(mpc, secret(mpc, edges), nodes, fixed_shape=True)).ready()

    run_cluster(program, 4, tap=tap)
    return {pair: sorted(sent) for pair, sent in seen.items()}


def test_the_same_frames_whatever_the_graph(monkeypatch):
    monkeypatch.setattr(module, "iterations", lambda nodes: 1)
    first, second = (frames_of(np.array(e), 3) for e in ([[0, 0], [1, 1]], [[0, 2], [2, 1]]))
    assert first and first == second


def test_public_edges():
    assert public_components([[5, 2], [2, 1], [0, 3]], 6).tolist() == [0, 1, 1, 0, 4, 1]
    assert public_components(np.zeros((0, 2)), 2).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"leaves the nodes 0\.\.5"):
        public_components([[1, 6]], 6)
