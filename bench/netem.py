"""Network emulation on one machine: a namespace per party, and links with a delay and a rate.

Needs root and `ip` (Debian's iproute2). The links are shaped with `tc netem` where the kernel has
it, else in user space (`bench.tun`), which needs `/dev/net/tun`. Delay and rate apply to what a
party sends, to all others together.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator

from bench.profile import Network

_CONGESTION_CONTROL = 'cubic'
_PATIENCE = 20.0
"""Seconds for a command."""


class NetemUnavailable(Exception):
    """This machine cannot emulate networks; the message says what is missing."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode:
        raise NetemUnavailable(f'{" ".join(command)}: {done.stderr.strip()}')


@contextlib.contextmanager
def shaped(network: Network, parties: int, kinds: tuple[str, ...] = ('netem', 'tun')
           ) -> Iterator[tuple[list[list[str]], list[str]]]:
    """Namespaces with shaped links: yields the command prefix and the host of every party.

    The first of `kinds` that this machine has is taken; NetemUnavailable says why none is there.
    """
    for tool, package in (('ip', 'iproute2'), ('sysctl', 'procps')):
        if shutil.which(tool) is None:
            raise NetemUnavailable(f'no {tool!r} command; install {package}')
    if os.geteuid() != 0:
        raise NetemUnavailable('network namespaces need root')
    tag = f'sepc{os.getpid()}'
    names = [f'{tag}n{i}' for i in range(parties)]
    hosts = [f'10.231.77.{i + 1}' for i in range(parties)]
    with contextlib.ExitStack() as stack:
        missing = []
        for kind in kinds:
            try:
                with contextlib.ExitStack() as attempt:
                    _namespaces(names, attempt)
                    _SHAPES[kind](network, tag, names, hosts, attempt)
                    stack.push(attempt.pop_all())
                break
            except (NetemUnavailable, OSError) as error:
                missing.append(f'{kind}: {error}')
        else:
            raise NetemUnavailable('; '.join(missing))
        yield [['ip', 'netns', 'exec', name] for name in names], hosts


def _namespaces(names, stack):
    for name in names:
        _run('ip', 'netns', 'add', name)
        stack.callback(_tidy, 'ip', 'netns', 'del', name)
        _run('ip', '-n', name, 'link', 'set', 'lo', 'up')
        # Every new namespace has the kernel's default, which may be one that paces.
        _run('ip', 'netns', 'exec', name, 'sysctl', '-qw',
             f'net.ipv4.tcp_congestion_control={_CONGESTION_CONTROL}')


def _tidy(*command):
    subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)


def _bridge(network, tag, names, hosts, stack):
    """Every namespace on one bridge, its outgoing side shaped by the kernel."""
    bridge = f'{tag}b'[:15]
    _run('ip', 'link', 'add', bridge, 'type', 'bridge')
    stack.callback(_tidy, 'ip', 'link', 'del', bridge)
    _run('ip', 'link', 'set', bridge, 'up')
    for i, (name, host) in enumerate(zip(names, hosts, strict=True)):
        outer, inner = f'{tag}o{i}'[:15], f'{tag}i{i}'[:15]
        _run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner)
        _run('ip', 'link', 'set', inner, 'netns', name)
        _run('ip', 'link', 'set', outer, 'master', bridge, 'up')
        _run('ip', '-n', name, 'addr', 'add', f'{host}/24', 'dev', inner)
        _run('ip', '-n', name, 'link', 'set', inner, 'up')
        _run('ip', 'netns', 'exec', name, 'tc', 'qdisc', 'add', 'dev', inner, 'root', 'netem',
             'delay', f'{network.delay * 1000:g}ms', 'rate', f'{network.bandwidth / 1e6:g}mbit',
             'limit', '100000')


def _user_space(network, tag, names, hosts, stack):
    """A process that carries the packets of all namespaces."""
    del tag
    carrier = subprocess.Popen(
        [sys.executable, '-m', 'bench.tun', str(network.delay), str(network.bandwidth),
         *(f'{name}:{host}' for name, host in zip(names, hosts, strict=True))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stack.callback(_end, carrier)
    ready, _, _ = select.select([carrier.stdout], [], [], _PATIENCE)
    if not ready:
        raise NetemUnavailable(f'no devices within {_PATIENCE:g} s')
    if carrier.stdout.readline().strip() != 'ready':
        raise NetemUnavailable(carrier.communicate(timeout=_PATIENCE)[1].strip()[-300:])


def _end(carrier):
    # The devices go with the process that holds them.
    carrier.kill()
    carrier.communicate(timeout=_PATIENCE)


_SHAPES = {'netem': _bridge, 'tun': _user_space}
