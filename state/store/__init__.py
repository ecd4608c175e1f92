"""The state in Redis: the only package that talks to it.

`shards`              the verbs of the shards, a batch in one round trip; `reads` are look-ups, `holds` those of holds
`shared`              what processes share beside the shards: `policy`, `policy_history`, `guard_decisions`,
                      `push_lag`, `listed_counts`, `reader_progress`, `lease`, `record`
`library`             the Lua functions, as Redis loads them
`client`              what is used of a client of Redis
"""
