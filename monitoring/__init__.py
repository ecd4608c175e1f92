"""What an operator sees of Penstock.

`metrics`   every metric, declared in one file; any part of the engine may import it
`labels`    the values of their labels, with what they mean
`logs`      every line that is logged, and what to do about it
`server`    serves them at /metrics, with /healthz and /readyz; only entry points start it
"""
