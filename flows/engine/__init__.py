"""The engine behind a thin boundary: Bytewax, and nothing of Penstock.

`polling`    sources that ask for their next item, and the sink at the end
`steps`      the steps of a flow, each timed and guarded alike
`failure`    how a flow ends at an error that has words
`run`        a run of a dataflow in this process

A dataflow (`flows/*/flow.py`) is a table of contents: it names its steps in order. Another engine would take the
place of this folder and of those tables.
"""
