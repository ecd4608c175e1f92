"""What a shard is asked, and what it answers."""
