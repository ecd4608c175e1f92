"""Everything that speaks to the outside.

`log`                 the log as an interface: records in partitions, appended with confirmation
`redis_log`           its back end on Redis Streams, with `functions/log.lua`; `redis_entries`,
                      `redis_topics` and `redis_member` are its parts
`bounds`              what a message may be before anybody reads it
`cloudevents`         the envelope of every message, in structured and binary mode
`dead_letters`        messages that could not be used: kept whole, listed, replayed
`outgoing`            what Penstock writes for others, declared member by member
`embedded`            a Valkey server shared by the processes of one machine
`keeper`              the small process that stops that server behind its last user
`redis_server`        the server or cluster that keeps the stock: reached, and checked
`redis_cluster`       a cluster behind the verbs of a client for one server; `redis_exchange` is its part
`settings`            the environment; `settings_page` is the page that explains it
`config`              `penstock.yaml`, with `config_shape`, `config_checks` and `lint`
`codes`               other systems' codes for our SKUs
"""
