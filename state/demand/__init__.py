"""What was sold, and when a location usually speaks."""
