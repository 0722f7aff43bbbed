"""Stand-ins for the MPC program, for tests of everything around it."""
