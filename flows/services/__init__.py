"""What people and programs ask for; every door leads here."""
