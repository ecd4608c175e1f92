"""`python -m flows.cli`, the same as `penstock`."""

from flows.cli.app import main

main()
