"""Everything that speaks to the outside.

`messages`            CloudEvents as the log holds them: read, written, kept when they cannot be read
`log`                 the log as an interface, and its back ends on Kafka and on Redis Streams
`redis`               servers of Redis: one, a cluster, or an embedded one, behind one client
`config`              settings of the environment, the policy file, files of codes and positions
"""
