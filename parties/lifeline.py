"""No process outlives the one that started it, however that one ended.

Two independent ties, because each has a gap: the kernel's parent-death signal (Linux only, and
not set until the child runs) and a watch on standard input, a pipe that ends with the parent
(works everywhere, needs a running interpreter). Also: free TCP ports for children to listen on.
"""

import ctypes
import os
import random
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable

from parties.errors import LocalError

_PR_SET_PDEATHSIG = 1
# Below the range from which the kernel takes ports of outgoing connections.
_PORTS = range(20_000, 32_000)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies; does nothing except on Linux."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died in the meantime: no signal will come
        os._exit(1)


def on_end_of_input(
    action: Callable[[], object], line: Callable[[bytes], object] = lambda _: None
) -> None:
    """Call `action`, in a thread, when standard input ends; only a pipe ends with its writer.

    Until then `line` gets each line that comes, in the same thread.
    """
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def watch() -> None:
        started = b""
        while piece := os.read(0, 1 << 16):
            *lines, started = (started + piece).split(b"\n")
            for one in lines:
                line(one)
        action()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


class ReservedPort:
    """A free port, held so that nothing else takes it until the process it is for listens on it."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for port in random.SystemRandom().sample(_PORTS, 200):
            holder = socket.socket(family, socket.SOCK_STREAM)
            try:
                holder.bind((host, port))
            except OSError:
                holder.close()
                continue
            self._holder: socket.socket | None = holder
            self.port = port
            return
        raise LocalError(
            "no_port",
            f"no TCP port between {_PORTS.start} and {_PORTS.stop} can be bound on {host}",
            "check the host address and end programs that hold ports",
        )

    def lend(self) -> None:
        """Let the process that will listen on it bind the port too.

        On Linux a listener may bind beside a holder that does not listen if both allow reuse, as
        asyncio's servers do; this class binds without, so it never picks a port that is lent. Where
        the system has no such rule the port is let go.
        """
        if self._holder is None:
            return
        if sys.platform.startswith("linux"):
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            self.close()

    def close(self) -> None:
        """Let go of the port."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None
