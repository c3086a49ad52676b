"""What everybody else reads with: record by record of a run that goes on, or all of it as columns."""
