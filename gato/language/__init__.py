"""Sentences become plans."""
