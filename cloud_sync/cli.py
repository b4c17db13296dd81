"""``pomona decode``: what needs neither a device nor a server."""

from __future__ import annotations

import json
from typing import BinaryIO

import click


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
def decode(file: BinaryIO) -> int:
    """Print what messages say, one JSON object a line, with their boxes unpacked.

    Reads FILE, or what comes in: messages and batches of messages as a device sends them, in lines of JSON or of
    hexadecimal digits, with or without their topic in front; also one batch as it is. What is no message is reported
    on stderr, the rest go on, and the exit code is 2.

    \b
    Examples:
      pomona decode batch.bin
      mosquitto_sub ... -t 'pomona/v1/+/up/#' -F '%t %x' | pomona decode
    """
    from cloud_sync.decoder import decode_stream
    from cloud_sync.errors import MessageError

    failed = False
    for number, decoded in enumerate(decode_stream(file), start=1):
        if isinstance(decoded, MessageError):
            failed = True
            click.echo(f"Error: message {number}: {decoded}", err=True)
        else:
            click.echo(json.dumps(decoded, ensure_ascii=False))
    return 2 if failed else 0
