"""Who may connect to the embedded broker, and which topics are whose: two amqtt plugins.

amqtt's own access list matches wildcards against wildcards, which lets a client that is allowed
`a/+` subscribe to `a/#`; here the allowed subscriptions are compared as exact strings.
"""

import hmac
from dataclasses import dataclass, field

from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from parties.broker_config import password_digest
from parties.messages import recipient_of, subscriptions


class PartyPassword(BaseAuthPlugin):
    """A known user name, its password, and a client identifier that begins with the name."""

    @dataclass
    class Config:
        """`users` maps user names to `password_digest` of their passwords."""

        users: dict[str, str] = field(default_factory=dict)

    async def authenticate(self, *, session: Session) -> bool:
        """Whether the connecting client is who it says."""
        name, password = session.username or "", session.password or ""
        expected = self.config.users.get(name, "")
        known = hmac.compare_digest(password_digest(password), expected)
        return known and (session.client_id or "").startswith(f"{name}-")


class PartyTopics(BaseTopicPlugin):
    """Read what is addressed to you and everybody's presence; write what is from you."""

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        """Whether `session` may do `action` on `topic`."""
        if session is None or topic is None or not session.username:
            return False
        party = session.username
        if action is Action.SUBSCRIBE:
            return topic in subscriptions(party)
        if action is Action.PUBLISH:
            mine = topic.rsplit("/", 1)[-1] == party
            return mine and recipient_of(topic) is not None
        return True  # a delivery: the subscription was allowed
