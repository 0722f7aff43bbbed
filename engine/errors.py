"""Errors of the engine: each names a code, the party at fault, the step, cause and remedy."""

import json


class EngineError(Exception):
    """A computation that cannot go on.

    Attributes: `code` (stable, machine-readable), `party` (index of the party at fault or None),
    `step` (the section of the program), `cause`, `remedy`. No attribute ever holds a secret.
    """

    def __init__(self, code, cause, *, party=None, step='', remedy=''):
        self.code, self.cause, self.party = code, cause, party
        self.step, self.remedy = step, remedy
        super().__init__(code, cause)

    def __str__(self):
        where = f' in step "{self.step}"' if self.step else ''
        who = f' (party {self.party})' if self.party is not None else ''
        remedy = f'; {self.remedy}' if self.remedy else ''
        return f'{self.code}{who}{where}: {self.cause}{remedy}'

    def as_dict(self):
        """The error as JSON-ready fields."""
        return {'code': self.code, 'party': self.party, 'step': self.step,
                'cause': self.cause, 'remedy': self.remedy}


    def report(self) -> bytes:
        """What the peers are told: the same fields, shortened, for `reported`."""
        short = {k: v[:200] if isinstance(v, str) else v for k, v in self.as_dict().items()}
        return json.dumps(short, ensure_ascii=False).encode(errors='replace')


class LocalProtocolError(EngineError):
    """This party's program or configuration did something the protocol does not allow."""


class RemoteProtocolError(EngineError):
    """A peer sent something that no correct peer sends."""


class PeerLost(EngineError):
    """A peer is gone or silent beyond its deadline."""


def reported(peer: int, payload: bytes) -> PeerLost:
    """The error that a peer reports before it closes; its fields are text only."""
    try:
        fields = json.loads(payload)
        party = fields.get('party')
        party = party if type(party) is int and 0 <= party < 65536 else peer
        code, cause, step, remedy = (_printable(fields.get(k, ''))
                                     for k in ('code', 'cause', 'step', 'remedy'))
    except (ValueError, AttributeError, RecursionError):
        code, cause, step, remedy, party = 'peer-failed', 'no details', '', '', peer
    return PeerLost(code, f'party {peer} stopped: {cause}', party=party, step=step, remedy=remedy)


def _printable(value) -> str:
    """A peer's text, fit for a terminal and a log."""
    text = value if isinstance(value, str) else ''
    return ''.join(c if c.isprintable() else '?' for c in text[:200])
