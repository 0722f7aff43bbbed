"""The life of a stored model: draft, approved, live, retired."""

from __future__ import annotations

TRANSITIONS: dict[str, tuple[str, ...]] = {
    'draft': ('approved', 'retired'), 'approved': ('live', 'retired'), 'live': ('retired',),
    'retired': ()}
"""From which state a version may go to which. At most one version of a name is live."""
