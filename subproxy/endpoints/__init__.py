"""AF_VSOCK and emulated-vsock endpoints, and their string parsers.

Nothing here knows what a subscription is: any Twisted program can use these
endpoints, by class or by string (C{vsock:12345}, C{hvsock:/tmp/cid10.sock}).
"""
