"""What each backend has received: its cursor, the lease on it, and the counts that prove it."""
