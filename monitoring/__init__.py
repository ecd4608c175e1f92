"""What an operator sees of Penstock.

`metrics`   every metric, declared in one file; any part of the engine may import it
`server`    serves them at /metrics, with /healthz and /readyz; only entry points start it
"""
