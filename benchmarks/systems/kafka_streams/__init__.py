"""Kafka Streams: a small Maven project and what starts it."""
