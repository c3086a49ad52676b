"""Recording: the writer, and what keeps it working through forks, outages and the end of the process."""
