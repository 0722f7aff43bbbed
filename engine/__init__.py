"""The MPC engine: fields, shares, randomness, connections, secure arrays."""
