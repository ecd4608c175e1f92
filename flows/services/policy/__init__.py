"""The policy: activated, compared, reloaded, and overlaid at run time.

`activate`            a file becomes the active policy of all processes
`overlay`             decisions of run time, applied over the policy: freeze, zero, resume, resync, exclusions
`reload`              reads the file again at SIGHUP, or when it changes
`impact_report`       what another policy would change; `preview` reads it from a file
`revisions`, `channel_overrides`, `code_table`    what the command line asks of history, channels and codes
"""
