"""One process: what its flows and commands share.

`session`             the composition root: settings and servers become a `context`
`context`             the value that flows and services get: settings, store, log, active policy, clock
`active_policy`       the policy as the hot path asks for it; `policy_follower` refreshes it
`shard_tick`          what a process states to every shard once a second; `rebuild_sums` recomputes stale class sums
`claim_loop`          how a worker consumes a leased queue
`retry`               calls that are repeated while a server is unavailable
`process`             a process that runs a flow; `signals`, `exit_codes`, `idle`, `periodic`, `clock` are its parts
"""
