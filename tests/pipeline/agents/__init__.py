"""Tests of pipeline.agents."""
