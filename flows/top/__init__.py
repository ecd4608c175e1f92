"""What `penstock top` shows, from the metrics that the processes serve.

`readings`   asks every address, and reads what it says
`figures`    two readings -> rates, percentiles, the worst of each gauge
`screen`     figures -> lines for a terminal
"""
