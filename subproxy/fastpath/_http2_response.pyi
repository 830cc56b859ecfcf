from collections import deque

def data_frames(
    waiting: deque[bytes], at: int, size: int, stream: int, ends: bool
) -> tuple[bytes, int]: ...
