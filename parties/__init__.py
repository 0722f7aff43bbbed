"""Who runs a job: identities, the message bus, manifests and approvals, nodes and their workers."""
