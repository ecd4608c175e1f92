"""Every rule of the engine that can be taken out: what it guarantees, how it is taken out, and what turns red then.

A promise whose rule can go without a suite turning red is a promise without a proof. A rule stands in the file of its
family, its patches above it; `catalogue.py` puts the families together. A suite keeps no list of its own: it asks the
catalogue for the rules that have a means of its kind (`means.py`).

    watermarks   what a shard has of the log, and where reading resumes
    events       an event takes effect once, whole, and as of the log's time
    publishing   claims, emissions, settlements, and consumers
    recovery     a shard that went back
    policies     levels, sums and claims under a policy that changes
    orders       facts of orders and counts, in any order of arrival
    holds        units that a checkout keeps
    protections  what a configuration guards against on the morning of a go-live

`source.py` patches the text of the function library and of methods, for workers in processes of their own.
"""
