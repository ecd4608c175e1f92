"""Odd messages by the million: whatever comes in, only a typed rejection may come out of reading it.

    python -m tests.fuzz --seconds 60       engine atheris, guided by coverage; hypothesis where there is none
    python -m tests.fuzz --replay FILE      one message again, with the traceback if there is one

`seeds.py` holds the messages of the documents and of the demo, `mutate.py` makes others of them, `properties.py`
says what must hold for each. A message that breaks a property is kept as a file in `.fuzz`, once for each place.
"""

NOTHING, FOUND = 0, 3
"""How the process of the guided engine ends. Any other end is one that it did not come to by itself."""
