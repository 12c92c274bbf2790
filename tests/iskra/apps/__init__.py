"""Mirrors iskra/apps."""
