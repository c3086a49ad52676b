"""What a process records with: a writer, and what keeps it going through forks, outages and the end."""
