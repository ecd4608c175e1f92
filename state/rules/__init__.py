"""What is decided from the figures of a SKU.

`decision`            levels and ad states of one claimed SKU: what publish asks
`levels`              the level of each channel; `risk_buffer` by demand
`level_rules`         the rules of a channel, each once; `level_steps` a level rule by rule, `impact` of a new policy
`exclusions`          silent locations and opening gates
`ads`                 pause or resume, for each ad rule
`hold_rule`           what a channel may sell of the pool at one moment
`explain`             a level taken apart
"""
