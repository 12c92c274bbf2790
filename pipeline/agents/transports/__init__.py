"""How bytes travel: a protocol, and one module per transport."""
