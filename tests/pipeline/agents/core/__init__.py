"""Tests of the agent's pure half."""
