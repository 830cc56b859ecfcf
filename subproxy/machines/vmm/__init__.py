"""Virtual machine monitors: how each is started, told to stop, and what it tells of its machine."""
