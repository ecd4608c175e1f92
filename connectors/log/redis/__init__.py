"""The log on Redis Streams, when no Kafka is set."""
