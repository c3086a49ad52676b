"""How the bytes of a segment are laid out: what writing, reading and compacting all build on."""
