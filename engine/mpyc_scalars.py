"""Messages of MPyC's scalar types, on the engine's own links.

MPyC's protocols of single numbers send and receive byte strings under its program counter; here
each is a frame of its own, and waiting for one has a deadline. In verified mode shares travel as
`engine.mpyc_checked` says, and only `transfer` sends such messages.
"""

import asyncio

from engine import frames
from engine.errors import LocalProtocolError
from engine.messaging import Messaging


class MpycScalars(Messaging):
    """What MPyC's runtime sends and receives by (a mix-in of `engine.runtime.Runtime`)."""

    _program_counter: list[int]

    def _send_message(self, peer_pid, data):
        if self.geometry.verified:
            raise LocalProtocolError(
                'not-verifiable', 'a message of a protocol of MPyC\'s that has no verified form',
                remedy='exchange shares by mpc.input, mpc.output and the operators of secure '
                'types, or run in the default mode')
        self.send_public(peer_pid, data)

    def send_public(self, peer_pid: int, data: bytes) -> None:
        """Send a byte string under the program counter, for `_receive_message`; never shares."""
        self.send_frame(peer_pid, frames.SCALAR, 0, self._program_counter[0], 0, data)

    def _receive_message(self, peer_pid):
        self.check()
        waiting = self._claim((peer_pid, frames.SCALAR, self._program_counter[0], 0),
                              'scalar arithmetic')
        return waiting if isinstance(waiting, asyncio.Future) else waiting[1].tobytes()
