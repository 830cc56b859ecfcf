package guest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"subproxy/guest/wire"
)

// DefaultProxy is where a proxy is for a virtual machine.
var DefaultProxy = fmt.Sprintf("vsock:%d:%d", wire.HostCID, wire.Port)

// A dialler opens one more connection to the proxy.
type dialler func(context.Context) (net.Conn, error)

// Dialler returns a function that dials address: "vsock:CID:PORT", "unix:PATH" or
// "tcp:HOST:PORT". For an empty one that is DefaultProxy.
func Dialler(address string) (func(context.Context) (net.Conn, error), error) {
	if address == "" {
		address = DefaultProxy
	}
	kind, rest, _ := strings.Cut(address, ":")
	switch kind {
	case "unix":
		if rest == "" {
			return nil, fmt.Errorf("%s: no path", address)
		}
		return ofNetwork("unix", rest), nil
	case "tcp":
		if _, _, err := net.SplitHostPort(rest); err != nil {
			return nil, fmt.Errorf("%s is not tcp:HOST:PORT: %w", address, err)
		}
		return ofNetwork("tcp", rest), nil
	case "vsock":
		cid, port, _ := strings.Cut(rest, ":")
		if port == "" {
			port = strconv.Itoa(wire.Port)
		}
		where, err := strconv.ParseUint(cid, 10, 32)
		which, err2 := strconv.ParseUint(port, 10, 32)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("%s is not vsock:CID:PORT", address)
		}
		return func(ctx context.Context) (net.Conn, error) {
			return dialVsock(ctx, uint32(where), uint32(which))
		}, nil
	}
	hint := ""
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, ".") {
		hint = "; of a socket say unix:" + address
	}
	return nil, fmt.Errorf("%s is not vsock:CID:PORT, unix:PATH or tcp:HOST:PORT%s", address, hint)
}

func ofNetwork(network, address string) dialler {
	return func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}
}
