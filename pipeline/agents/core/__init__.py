"""The pure half of the connection agent: machines, arithmetic and words. No clock, no dice, no sockets."""
