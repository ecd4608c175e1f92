"""The command line: a file for each command, or for a group of them.

A file holds the signature of its command and how the answer is shown; the work is in `flows.services`, where any other
door finds it. `app` maps names to files, `lazy` imports them when they run, `command` turns errors into exit codes.
A new command is a file here and a line in `app.COMMANDS`.
"""
