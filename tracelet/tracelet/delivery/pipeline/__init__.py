"""The way of a record from the journal to one backend: read, route, process, plan, send, retry."""
