"""Credit models on shares, each with its plaintext twin."""
