"""The connection agent: keeps links alive and tells what happens to them. Users import it from ``iskra``."""
