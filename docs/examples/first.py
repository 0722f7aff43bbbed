"""Average and largest of everybody's loan, and nobody shows theirs: `python first.py -M4`."""

from engine import mpc

mpc.run(mpc.start())
mine = [310.5, 120.25, 99.0, 450.0][mpc.pid]  # only this party knows its number
loans = mpc.stack(mpc.input(mpc.array(mine)))  # one secret number from each party
average, largest = mpc.run(mpc.output([loans.mean(), mpc.max(loans)]))
mpc.run(mpc.shutdown())
print(f'average {average:.2f}, largest {largest:.2f}, {mpc.meter.depth} rounds')
