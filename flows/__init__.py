"""The dataflows, and the command line.

    pos.sales  wms.receipts  marketplace.orders        a log: Kafka, or Redis Streams when no Kafka is set
            |        |        |
    ingest    read -> decode -> normalise -> dead letters -> apply       stateless; scale by adding processes
                                    |
                         Redis, one function call per shard and batch    `state`
                                    |
    publish   claim -> derive -> emit -> settle
            |                 |
      stock.updates       ads.signals, stock.alerts

`ingest`, `publish`            the dataflows: each file is the table of contents of its flow
`ingest_steps`, `reading`      their steps, plain functions over a batch, and the reader of the partitions
`publish_steps`, `claiming`    the same for publishing; `publish_messages`, what it tells
`lag`, `unsettled`, `hearing`  what is told of them: how far behind, not told yet, which locations are silent
`walk`                         looks through the whole pool for faults, in the background
`runtime`                      the composition root: settings, store, log and policy of one process
`cli`                          the command line: a file for each command
`demo`                         a year of real trading, played through all of it

Only this folder imports Bytewax.
"""
