"""The process that decodes: ``python -m winnow.harness.data.decode_worker``, a question a line on standard input.

A library that hangs or crashes on a file takes this process with it, not the run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from winnow.harness.data.decoders import DECODERS


def main() -> None:
    """Answer each line with a line: shape, rate and the size of the frames that follow; or the error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the frames
    for line in sys.stdin:
        name, path, frames, until = json.loads(line)
        try:
            found, rate = DECODERS[name](Path(path), frames, until)
            data = found.tobytes()
            head = {"shape": found.shape, "rate": rate, "size": len(data)}
        except Exception as error:  # every library raises its own classes
            text = str(error).strip().splitlines()
            head, data = {"error": f"{type(error).__name__}: {text[0] if text else ''}"[:300]}, b""
        out.write(json.dumps(head).encode() + b"\n" + data)
        out.flush()


if __name__ == "__main__":
    main()
