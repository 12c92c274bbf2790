"""Measurements anyone can repeat: this product beside what a user would pick instead, on one log, on one machine."""
