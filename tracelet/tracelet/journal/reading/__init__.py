"""Reading: record by record while a run continues, or everything as columns."""
