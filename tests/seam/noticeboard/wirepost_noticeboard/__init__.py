"""What an outside package adds to Wirepost: one network, one source, nothing edited anywhere else."""
