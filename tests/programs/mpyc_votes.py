"""A ballot: everybody votes, public facts are exchanged, a quorum decides. One line per result."""

import sys

from engine import mpc


async def main():
    secint = mpc.SecInt(16)
    await mpc.start()
    m = len(mpc.parties)
    names = await mpc.transfer(f'party {mpc.pid}')
    print(names[:1], len(names) == m, mpc.pid < m, 2 * mpc.threshold < m)
    told = await mpc.transfer({'argument': sys.argv[1:], 'pid': mpc.pid}, senders=0)
    print(told)
    votes = mpc.input(secint(1 if mpc.pid % 3 != 2 else 0))
    print('votes cast', len(votes) == m, 'first', await mpc.output(votes[0]))
    agreed = mpc.all(votes)
    print('unanimous in a party of one or two', await mpc.output(agreed) == (m < 3))
    quorum = 2 * mpc.sum(votes) > m
    print('quorum', await mpc.output(quorum), 'any', await mpc.output(mpc.any(votes)))
    # Arcs of a graph: each tells its successor.
    ring = await mpc.transfer(mpc.pid, sender_receivers=[(i, (i + 1) % m) for i in range(m)])
    print(ring == [(mpc.pid - 1) % m])
    print(await mpc.output(agreed, receivers=0) in (0, 1, None))
    await mpc.barrier('end')
    await mpc.shutdown()

if __name__ == '__main__':
    mpc.run(main())
