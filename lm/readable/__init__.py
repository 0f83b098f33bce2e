"""Said words as text that can be read: case, marks, numbers in figures.

>>> from lm.readable import Readable
>>> readable = Readable.open()
>>> " ".join(token.text for token in readable.write("HOW ARE YOU I AM TWENTY FIVE".split()))
'How are you? I am 25.'
"""

from lm.readable.readable import Readable, Written

__all__ = ["Readable", "Written"]
