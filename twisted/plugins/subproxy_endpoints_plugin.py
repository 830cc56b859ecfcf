"""The endpoint strings vsock: and hvsock:, for every Twisted program of this environment."""

from subproxy.endpoints.parsers import HybridVsockParser, VsockParser

vsockEndpointParser = VsockParser()
hybridVsockEndpointParser = HybridVsockParser()
