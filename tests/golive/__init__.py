"""A Monday morning: a chain that trades is put on one pool, and what can go wrong that morning does.

monday   what the chain has at midnight, and what it trades that day (the demo's year of real trading)
shop     its `penstock.yaml`, its processes, its commands
acts     what happens, act by act
clients  checkouts that hold stock meanwhile, as processes of their own
truth    what there was at each moment, worked out from the events alone, by code of its own
verdict  what the channels were told, held against it
"""
