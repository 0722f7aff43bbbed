"""Links with a delay and a rate in user space, for kernels that lack netem.

    python -m bench.tun DELAY BITS_PER_SECOND NAMESPACE:ADDRESS ...

gives every network namespace a TUN device with its address and carries the packets between them:
what a party sends leaves at the given rate and arrives after the delay, in order and without loss.
Prints a line when the devices are there, and ends when its input does. Needs root and
`/dev/net/tun`. One process carries some 10^5 packets a second: enough for links up to about 1 Gb/s
in all, beyond that the processor is the limit and not the rate.
"""

import collections
import contextlib
import fcntl
import ipaddress
import os
import select
import struct
import subprocess
import sys
import time

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MTU = 1500
_QUEUE = 20_000
"""Packets that the device holds while this process is busy; fewer would be losses."""
_AT_ONCE = 64
"""Packets taken from one device before the others have their turn."""


def _device(namespace: str, address: str) -> int:
    """The descriptor of a new TUN device in a namespace."""
    descriptor = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    name = f'{namespace[:13]}t'.encode()
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack('16sH22x', name, _IFF_TUN | _IFF_NO_PI))
    device = name.decode()
    for command in (['ip', 'link', 'set', device, 'netns', namespace],
                    ['ip', '-n', namespace, 'addr', 'add', f'{address}/24', 'dev', device],
                    ['ip', '-n', namespace, 'link', 'set', device, 'mtu', str(_MTU),
                     'txqueuelen', str(_QUEUE), 'up']):
        subprocess.run(command, check=True, timeout=20)
    return descriptor


def carry(devices: dict[bytes, int], delay: float, rate: float, until: int) -> None:
    """Carry packets between devices, by IPv4 address, until the descriptor `until` is readable."""
    poll = select.epoll()
    for source in (*devices.values(), until):
        poll.register(source, select.EPOLLIN)
    free = dict.fromkeys(devices.values(), 0.0)
    # With one delay for all, packets of one sender arrive in the order in which they leave.
    on_their_way = {d: collections.deque[tuple[float, int, bytes]]() for d in devices.values()}
    while True:
        now = time.perf_counter()
        due = []
        for waiting in on_their_way.values():
            while waiting and waiting[0][0] <= now:
                _, target, packet = waiting.popleft()
                with contextlib.suppress(OSError):  # the namespace is being torn down
                    os.write(target, packet)
            if waiting:
                due.append(waiting[0][0])
        # Sleeping shorter than a millisecond is not in epoll's gift; polling is.
        wait = -1.0 if not due else max(0.0, min(due) - time.perf_counter())
        for ready, _ in poll.poll(wait if wait < 0 or wait > 0.002 else 0):
            if ready == until:
                return
            with contextlib.suppress(BlockingIOError):
                for _ in range(_AT_ONCE):
                    packet = os.read(ready, 65536)
                    if packet[0] >> 4 != 4 or packet[16:20] not in devices:
                        continue  # of IPv6's neighbour discovery, or to nobody here
                    leaves = max(free[ready], time.perf_counter()) + 8 * len(packet) / rate
                    free[ready] = leaves
                    on_their_way[ready].append((leaves + delay, devices[packet[16:20]], packet))


def main(delay: str, rate: str, *places: str) -> None:
    """Make the devices, say so, and carry until the input ends."""
    devices = {}
    for place in places:
        namespace, _, address = place.partition(':')
        devices[ipaddress.IPv4Address(address).packed] = _device(namespace, address)
    print('ready', flush=True)
    carry(devices, float(delay), float(rate), sys.stdin.fileno())


if __name__ == '__main__':
    main(*sys.argv[1:])
