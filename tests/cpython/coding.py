"""What CPython makes of each line, "operation hexadecimal-input": the output in hexadecimal, or "-" where it refuses."""

import base64
import binascii
import codecs
import json
import sys
import urllib.parse

WHITE_SPACE = b" \t\n\x0c\r"


def unbase64(text):
    text = text.translate(None, WHITE_SPACE)
    if len(text) % 4:
        raise ValueError
    decoded = []
    # Group by group, as CPython reads one text only, and would not look at the bits that no byte takes.
    for begin in range(0, len(text), 4):
        group = text[begin : begin + 4]
        decoded.append(base64.b64decode(group, validate=True))
        if base64.b64encode(decoded[-1]) != group:
            raise ValueError
    return b"".join(decoded)


def refuse(constant):
    raise ValueError(constant)


def load(text):
    return json.loads(text.decode("utf-8"), parse_constant=refuse)


def dump(value, **layout):
    return json.dumps(value, ensure_ascii=False, **layout).encode("utf-8")


def is_json(text):
    load(text)
    return b""


OPERATIONS = {
    "base64": base64.b64encode,
    "unbase64": unbase64,
    "hex": binascii.hexlify,
    "unhex": lambda text: binascii.unhexlify(text.translate(None, WHITE_SPACE)),
    "percent": lambda text: urllib.parse.quote(text, safe="").encode("ascii"),
    "unpercent": urllib.parse.unquote_to_bytes,
    "rot13": lambda text: codecs.encode(text.decode("latin-1"), "rot13").encode("latin-1"),
    "is_json": is_json,
    "json_pretty": lambda text: dump(load(text), indent=2),
    "json_compact": lambda text: dump(load(text), separators=(",", ":")),
}

for line in sys.stdin.buffer:
    operation, _, text = line.rstrip(b"\n").partition(b" ")
    try:
        print(OPERATIONS[operation.decode("ascii")](binascii.unhexlify(text)).hex())
    except ValueError:
        print("-")
