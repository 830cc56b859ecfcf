#!/usr/bin/env bash
# hyperframe (h2's frames): a HEADERS frame with padding and no fragment is "Padding is too long".
#
# A field block may begin with an empty fragment and go on in CONTINUATION, and padding may be as
# long as what remains of the frame (RFC 9113, section 6.2: only what exceeds it is an error). Of a
# DATA and of a PUSH_PROMISE frame hyperframe reads that; HeadersFrame.parse_body counts the length
# behind the byte that tells it, and refuses. h2 then ends the connection. Without padding bytes
# (a length of 0) the same frame is read.
# Seen with hyperframe 6.1.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check hyperframe==6.1.0
cat >"$folder/seen.py" <<'END'
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PushPromiseFrame

def outcome(kind, padding):
    frame = kind(1)
    frame.flags.add("PADDED")
    frame.pad_length = padding
    if kind is PushPromiseFrame:
        frame.promised_stream_id = 2
    raw = frame.serialize()
    again, length = Frame.parse_frame_header(memoryview(raw[:9]))
    try:
        again.parse_body(memoryview(raw[9 : 9 + length]))
    except HyperframeError as error:
        return f"{type(error).__name__}: {error}"
    return "read"

for kind in (DataFrame, PushPromiseFrame, HeadersFrame):
    print(f"{kind.__name__}: 0 bytes {outcome(kind, 0)}; 5 bytes {outcome(kind, 5)}")
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'DataFrame: 0 bytes read; 5 bytes read
PushPromiseFrame: 0 bytes read; 5 bytes read
HeadersFrame: 0 bytes read; 5 bytes InvalidPaddingError: Padding is too long.' ]
