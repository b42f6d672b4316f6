"""A small language model learns to write plans."""
