"""The parts of the roll-up, pure: whose word counts, what it adds up to, what is remembered and what is written."""
