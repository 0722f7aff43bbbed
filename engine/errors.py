"""Errors of the engine: each names a code, the party at fault, the step, cause and remedy."""


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


class LocalProtocolError(EngineError):
    """This party's program or configuration did something the protocol does not allow."""


class RemoteProtocolError(EngineError):
    """A peer sent something that no correct peer sends."""


class PeerLost(EngineError):
    """A peer is gone or silent beyond its deadline."""
