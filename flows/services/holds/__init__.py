"""Holds: units reserved before there is an order.

`service`             the four requests: create, extend, confirm, release
`create`              all lines or none, over shards; `confirm` is a two-phase confirm by an event in the log
`locate`              on which shards the parts of a hold are
`values`              requests, answers and their bounds
"""
