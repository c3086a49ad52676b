"""What each backend has received: its cursor, its lease, and the counts that prove it."""
