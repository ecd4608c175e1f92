"""One process: its settings, clients, active policy, clock, retries and signals."""
