"""Reads {operation: [text, ...]} as JSON, and writes the same with what becomes of the texts, and under
"unknown" the first and the last of each run of characters that this Python's Unicode does not know."""

import functools
import json
import sys
import unicodedata

OPERATIONS = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "titlecase": str.title,
    "capitalize": str.capitalize,
    "swapcase": str.swapcase,
    "casefold": str.casefold,
    "trim": lambda text: text.strip(WHITE_SPACE),
    **{f"expand_tabs = {n}": lambda text, n=n: text.expandtabs(n) for n in (1, 4, 8, 64)},
    **{f'normalize = "{form.lower()}"': functools.partial(unicodedata.normalize, form)
       for form in ("NFC", "NFD", "NFKC", "NFKD")},
}

# str.strip() alone takes U+001C to U+001F too, which are not White_Space.
WHITE_SPACE = "".join(c for c in map(chr, range(0x110000)) if c.isspace() and not "\x1C" <= c <= "\x1F")


def unknown():
    runs = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) == "Cn":
            if runs and runs[-1][1] == code - 1:
                runs[-1][1] = code
            else:
                runs.append([code, code])
    return runs


asked = json.load(sys.stdin)
answers = {name: [OPERATIONS[name](text) for text in texts] for name, texts in asked.items()}
json.dump({"unknown": unknown(), **answers}, sys.stdout)
