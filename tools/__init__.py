"""What developers and CI run beside the code. Nothing here is packaged.

`pages`               writes the reference pages from the declarations in the code
`find-python.sh`      finds the Python that the Makefile uses
`install-servers.sh`  installs the servers that some tests want
"""
