"""The flows of Penstock, and the doors to them.

    pos.sales  wms.receipts  marketplace.orders        a log: Kafka, or Redis Streams when no Kafka is set
            |        |        |
    ingest    read -> decode -> normalise -> guard -> dead letters -> apply      stateless; scale by adding processes
                                    |
                         Redis, one function call per shard and batch            `state`
                                    |
    publish   claim -> decide -> guard -> emit -> settle
            |                 |
      stock.updates       ads.signals, stock.alerts

`cli`                  the doors: one file a command
`demo`                 a year of real trading, played through all of it
`ingest`, `publish`    the dataflows: `flow` is the table of contents, `steps` are plain functions over a batch
`services`             what people and programs ask for: holds, policy, queries, corrections, the scrubber, the board
`runtime`              one process: its session, clients, active policy, clock, retries, signals
`engine`               Bytewax, and nothing of Penstock

Imports go down this list, never up; dataflows do not know each other. Redis is behind the wrappers of `state.store`.
"""
