"""The policy: activated, compared, reloaded, and overlaid at run time.

`activate`            a file becomes the active policy of all processes
`overlay`             decisions of run time, applied over the policy: freeze, zero, resume, resync, exclusions
`reload`              reads the file again at SIGHUP, or when it changes
`impact_report`       what another policy would change
`rebuild_sums`        class sums of another policy, recomputed
"""
