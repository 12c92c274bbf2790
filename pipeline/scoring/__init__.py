"""Scores and voices as pure functions: what an event weighs, what a connection scores, what a subject says."""
