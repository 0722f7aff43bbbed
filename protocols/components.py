"""Connected components of a graph whose edges are secret, and of one that is public.

Secret edges: the algorithm of Awerbuch and Shiloach (IEEE Trans. Computers C-36, 1987; "arbitrary"
concurrent writes). Every node points to another of its component, at first to itself, so that the
nodes form trees. In each iteration a tree of height one (a star) hooks its root on to a
neighbouring tree of a lower number; a star that found none, and that nobody hooked on to, hooks on
to any neighbour; then every node points to its parent's parent. The sum of the trees' heights in a
component of several trees falls by a third each time, so `iterations(n)` are always enough. The
edges stay in the order of one sort; pointers change, so each iteration sorts the nodes twice.

Nothing opens but the comparisons of sorts, which are those of a random order. With `stop_early` one
bit per iteration opens, whether anything is left to do, and with it the number of iterations.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from protocols.secret_index import SecretIndex


def iterations(nodes: int) -> int:
    """Iterations that finish any graph of so many nodes."""
    return math.ceil(math.log(max(nodes, 2)) / math.log(1.5)) + 1


async def components(mpc, edges, nodes: int, *, stop_early: bool = False,
                     fixed_shape: bool = False):
    """For each node the number of one node of its component, the same for all of them.

    `edges` (m, 2) are secret numbers of nodes, 0..nodes - 1; an edge from a node to itself is
    padding. Returns shared integers (nodes,). Cost per iteration: about 25 moves of a table of
    2m + nodes rows, 5 comparisons per edge, and two sorts of 2·nodes rows (`fixed_shape` as in
    `sort_rows`).
    """
    count = edges.shape[0]
    if edges.shape != (count, 2) or nodes < 1:
        raise ValueError(f'components: edges of shape {edges.shape} among {nodes} nodes')
    parent, star = mpc.array(np.arange(nodes)), mpc.array(np.ones(nodes, np.int64))
    if not count:
        return parent
    ends = await SecretIndex.of(mpc, edges.T.ravel(), nodes, fixed_shape=fixed_shape)
    trees = await SecretIndex.of(mpc, parent, nodes, fixed_shape=fixed_shape)
    for _ in range(iterations(nodes)):
        parent, left = await _hook(mpc, ends, trees, parent, star)
        if stop_early and not await mpc.output(left.sum() >= 1):
            break
        trees = await SecretIndex.of(mpc, parent, nodes, fixed_shape=fixed_shape)
        parent = trees.look_up(parent.reshape(nodes, 1))[:, 0]
        trees = await SecretIndex.of(mpc, parent, nodes, fixed_shape=fixed_shape)
        star = _stars(mpc, trees, parent)
    return parent


async def _hook(mpc, ends, trees, parent, star):
    """New parents after the stars have hooked on, and marks of edges between different trees."""
    count = ends.rows // 2
    here = ends.look_up(mpc.stack([parent, star], axis=1))
    there = _swapped(mpc, here[:, 0], count)
    lower = there < here[:, 0]
    different = lower + _swapped(mpc, lower, count)
    marks = mpc.stack([lower, different], axis=1) * here[:, 1:]
    # One edge per node, then one node per root.
    edge, found, target = ends.pick(marks, there)
    node, found, target = _pick_each(mpc, trees, found, target)

    taken = edge[:, :1] * ends.look_up(node[:, :1])
    hit = trees.totals(ends.totals(_swapped(mpc, taken, count)))[:, 0]
    alone = mpc.equal(hit, 0) * (1 - found[:, 0])
    second = alone * found[:, 1]
    moves = mpc.stack([found[:, 0], second], axis=1) * (target - parent.reshape(-1, 1))
    # A star with an edge to another tree, or a tree that is no star yet: there is more to do.
    left = mpc.concatenate([different, 1 - star])
    return parent + moves.sum(1), left


def _pick_each(mpc, trees, marks, values):
    """`SecretIndex.pick` where every kind of mark has its own values (N, k)."""
    parts = [trees.pick(marks[:, [k]], values[:, k]) for k in range(marks.shape[1])]
    return tuple(mpc.concatenate([part[i] for part in parts], axis=1) for i in range(3))


def _stars(mpc, trees, parent):
    """Whether each node's tree has height one at most, given `parent` and its index."""
    nodes = trees.slots
    root = mpc.equal(parent, np.arange(nodes))
    child = (1 - root).reshape(nodes, 1)
    has_child = trees.totals(child) >= 1
    grandchildren = trees.totals(child * has_child)[:, 0]
    flat = root * mpc.equal(grandchildren, 0)
    return trees.look_up(flat.reshape(nodes, 1))[:, 0]


def _swapped(mpc, values, count):
    """The values of the edges' other directions."""
    return mpc.concatenate([values[count:], values[:count]])


def public_components(edges: npt.ArrayLike, nodes: int) -> npt.NDArray[np.int64]:
    """For each node the lowest number in its component; edges (m, 2) known to all. Local."""
    # Here, because no other program of a worker needs SciPy, which takes long to load.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.asarray(edges, np.int64).reshape(-1, 2)
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < nodes):
        raise ValueError(f'public_components: an edge leaves the nodes 0..{nodes - 1}')
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (nodes, nodes))
    _, label = connected_components(graph, directed=False)
    lowest = np.full(label.max(initial=-1) + 1, nodes)
    np.minimum.at(lowest, label, np.arange(nodes))
    return lowest[label]


async def with_edges(mpc, group, edges, *, stop_early: bool = False):
    """Groups after further edges (k, 2) have arrived; `group` (n,) as `components` gave it.

    The work is that of n + k edges, however many there were before.
    """
    nodes = group.shape[0]
    known = mpc.stack([mpc.array(np.arange(nodes)), group], axis=1)
    return await components(mpc, mpc.concatenate([known, edges]), nodes, stop_early=stop_early)
