"""The arms of `benchmarks/peers.py`: one way each to learn the same episodes and to act."""
