"""Proof from the outside: the oracle that reckons everything once more."""
