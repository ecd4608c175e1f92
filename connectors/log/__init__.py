"""The log of events.

`base`                what it promises: records in partitions, appended with confirmation, read by offset
`kafka`               on Kafka
`redis`               on Redis Streams, when no Kafka is set
"""
