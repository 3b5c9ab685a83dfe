"""What CPython's codecs make of bytes, of pairs of bytes, and of characters.

Reads lines of a codec's name and how many bytes a character of it takes, 1 or more. Writes two lines
for each: what every byte, and every pair if it takes more, is decoded to, in UTF-8; and what every
character is encoded to. The fields are hexadecimal, or "-" where the codec refuses.
"""

import sys


def field(convert, item):
    try:
        return convert(item).hex()
    except UnicodeError:
        return "-"


for line in sys.stdin:
    codec, size = line.split()
    one = [bytes([a]) for a in range(256)]
    two = [a + b for a in one for b in one]
    texts = one if size == "1" else one + two
    characters = [chr(c) for c in range(0x10000 if size == "1" else 0x30000) if not 0xD800 <= c < 0xE000]
    print(*(field(lambda text: text.decode(codec).encode(), text) for text in texts))
    print(*(field(lambda character: character.encode(codec), character) for character in characters))
