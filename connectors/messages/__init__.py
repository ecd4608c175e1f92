"""CloudEvents as the log holds them.

`decode`              a message as an event, in one pass where nothing about it is unusual
`cloudevents`         the envelope, in structured and binary mode
`limits`              what a message may be before it is read
`dead_letters`        the dead-letter queue: messages that could not be used, kept whole, listed, replayed
`written`             what Penstock writes, declared field by field
`printable`           bytes of a message as something that JSON can hold
"""
