"""What a retailer configures, as frozen values, and the same compiled for the hot path."""
