"""The demo: a real Kafka, the workers, real links, bad weather, and a verdict."""
