"""Servers of Redis, behind one client.

`server`              the server or cluster that keeps the stock: reached, checked, identified
`stores`              the wrappers of `state.store` over a server
`cluster`             a cluster behind the verbs of a client for one server
`standalone`          one server; `pipelining` sends a batch in one round trip
`embedded`            a Valkey server shared by the processes of one machine; `supervisor` stops it behind its last user
"""
