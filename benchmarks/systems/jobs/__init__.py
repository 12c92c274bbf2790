"""The peers' job as their users would write it. Each module is a program in the benchmark's own environment."""
