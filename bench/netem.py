"""Network emulation on one machine: a namespace per party, links shaped with `tc netem`.

Needs root, `ip` and `tc` (Debian's iproute2) and the kernel's netem; `permitted` says whether this
machine has them. Every party gets its own address on a bridge; delay and rate apply to what a party
sends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

from bench.profile import Network


class NetemUnavailable(Exception):
    """This machine cannot emulate networks; the message says what is missing."""


def _ip(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise NetemUnavailable(f'{" ".join(arguments)}: {done.stderr.strip()}')


@contextlib.contextmanager
def shaped(network: Network, parties: int) -> Iterator[tuple[list[list[str]], list[str]]]:
    """Namespaces with shaped links: yields the command prefix and the host of every party."""
    for tool in ('ip', 'tc'):
        if shutil.which(tool) is None:
            raise NetemUnavailable(f'no {tool!r} command; install iproute2')
    if os.geteuid() != 0:
        raise NetemUnavailable('network namespaces need root')
    tag = f'sepc{os.getpid()}'
    bridge = f'{tag}b'[:15]
    names = [f'{tag}n{i}' for i in range(parties)]
    hosts = [f'10.231.77.{i + 1}' for i in range(parties)]
    try:
        _ip('ip', 'link', 'add', bridge, 'type', 'bridge')
        _ip('ip', 'link', 'set', bridge, 'up')
        for i, (name, host) in enumerate(zip(names, hosts, strict=True)):
            outer, inner = f'{tag}o{i}'[:15], f'{tag}i{i}'[:15]
            _ip('ip', 'netns', 'add', name)
            _ip('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner)
            _ip('ip', 'link', 'set', inner, 'netns', name)
            _ip('ip', 'link', 'set', outer, 'master', bridge, 'up')
            _ip('ip', '-n', name, 'addr', 'add', f'{host}/24', 'dev', inner)
            _ip('ip', '-n', name, 'link', 'set', inner, 'up')
            _ip('ip', '-n', name, 'link', 'set', 'lo', 'up')
            _ip('ip', 'netns', 'exec', name, 'tc', 'qdisc', 'add', 'dev', inner, 'root', 'netem',
                'delay', f'{network.delay * 1000:g}ms', 'rate', f'{network.bandwidth / 1e6:g}mbit',
                'limit', '100000')
        yield [['ip', 'netns', 'exec', name] for name in names], hosts
    finally:
        for name in names:
            subprocess.run(['ip', 'netns', 'del', name], capture_output=True, timeout=20,
                           check=False)
        subprocess.run(['ip', 'link', 'del', bridge], capture_output=True, timeout=20, check=False)
