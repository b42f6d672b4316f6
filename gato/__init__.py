"""Gato: one transformer, one set of weights, many bodies; words choose what it does."""

__version__ = "0.1.0"
