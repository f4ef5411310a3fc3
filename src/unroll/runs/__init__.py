"""What a run is, and what it leaves: its subject and key, its record, its circumstances."""
