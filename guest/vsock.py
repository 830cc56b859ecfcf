"""The public path of L{guest.twisted.vsock}."""

from guest.twisted.vsock import HOST_CID, VsockAddress, VsockClientEndpoint

__all__ = ["HOST_CID", "VsockAddress", "VsockClientEndpoint"]
