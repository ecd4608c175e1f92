"""What comes in, and the operations on the pool that it becomes."""
