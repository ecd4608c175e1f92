"""What is decided from the figures of a SKU.

`decision`            levels and ad states of one claimed SKU: what publish asks
`levels`              the level of each channel; `level_steps` rule by rule, `risk_buffer` by demand
`exclusions`          silent locations and opening gates
`ads`                 pause or resume, for each ad rule
`hold_rule`           what a channel may sell of the pool at one moment
`explain`             a level taken apart
"""
