"""What people and programs ask for; every door leads here.

`holds`               units reserved before there is an order
`policy`              activate, compare and reload the policy; change its overlay
`queries`             levels, explanations, audits, exports
`corrections`         events that people append: counts, adjustments, reconciliations
`scrub`               the scrubber: a background scan that proves the figures of the pool
`board`               what a board shows, from scraped metrics
"""
