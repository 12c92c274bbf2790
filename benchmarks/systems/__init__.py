"""Who is measured, each in a module of its own: how it is built, started, and asked how far it has come."""
