"""Secret lists with secret positions, unit vectors, searches and secure sets."""

from mpyc.seclists import secindex, seclist

from engine import mpc

secint = mpc.SecInt(32)


def main():
    mpc.run(mpc.start())
    x = seclist([10, 20, 30, 40, 50], secint)
    i = mpc.input(secint(3), senders=0)
    print(mpc.run(mpc.output(x[i])))
    x[i] = 44
    x[secint(0)] += 1
    print(mpc.run(mpc.output(list(x))))
    x.append(secint(30))
    x.insert(i, 7)
    print(mpc.run(mpc.output(list(x))), len(x))
    print(mpc.run(mpc.output(x.count(30))), mpc.run(mpc.output(x.find(44))),
          mpc.run(mpc.output(x.index(50))), mpc.run(mpc.output(x.contains(99))))
    print(mpc.run(mpc.output(x.pop(secint(1)))), mpc.run(mpc.output(list(x))))
    del x[secint(0)]
    x.sort()
    print(mpc.run(mpc.output(list(x))))
    print(mpc.run(mpc.output(mpc.unit_vector(i, 5))))
    print(mpc.run(mpc.output(mpc.find([secint(b) for b in (0, 0, 1, 0)], 1))))
    index = secindex([secint(b) for b in (0, 1, 0, 0)])
    print(mpc.run(mpc.output(seclist([4, 5, 6, 7], secint)[index])))
    histogram = seclist([0] * 6, secint)
    for a in mpc.input([secint(v) for v in (1, 4, 4, 2, 4)], senders=0):
        histogram[a] += 1
    print(mpc.run(mpc.output(list(histogram))))
    mpc.run(mpc.shutdown())

if __name__ == '__main__':
    main()
