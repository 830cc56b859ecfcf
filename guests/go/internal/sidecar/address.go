// Package sidecar puts a program that speaks HTTP behind a proxy: it starts it, watches it, and
// passes requests on. It behaves as the sidecar in Python does (guest/sidecar).
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// mostPath is the longest path of a unix socket, in bytes.
const mostPath = 107

// An Address is where a program listens: a TCP port, or a unix socket.
type Address struct {
	network string // tcp or unix
	address string
}

// String returns HOST:PORT or unix:PATH.
func (a Address) String() string {
	if a.network == "unix" {
		return "unix:" + a.address
	}
	return a.address
}

// Authority is what a client of its own would say in Host.
func (a Address) Authority() string {
	if a.network == "unix" {
		return "localhost"
	}
	return strings.TrimSuffix(a.address, ":80")
}

// removeSocket removes the file of a unix socket, if it is one.
func (a Address) removeSocket() {
	if a.network != "unix" || strings.HasPrefix(a.address, "@") {
		return
	}
	// What can't be removed the program will name.
	if seen, err := os.Lstat(a.address); err == nil && seen.Mode().Type() == os.ModeSocket {
		os.Remove(a.address)
	}
}

// ParseAddress reads http://HOST[:PORT], HOST:PORT or unix:PATH.
func ParseAddress(text string) (Address, error) {
	if path, is := strings.CutPrefix(text, "unix:"); is {
		path = strings.TrimPrefix(path, "//")
		if n := len(path); n < 1 || n > mostPath || path == "@" || strings.Contains(path, "\x00") {
			return Address{}, fmt.Errorf("the path of a UNIX socket has 1 to %d bytes", mostPath)
		}
		return Address{"unix", path}, nil
	}
	scheme, rest, slashes := strings.Cut(text, "://")
	if !slashes {
		rest = text
	} else if !strings.EqualFold(scheme, "http") {
		return Address{}, fmt.Errorf("the program is asked by plain http://, not by %s://", scheme)
	}
	found, err := url.Parse("//" + rest)
	if err != nil {
		return Address{}, errors.New("the port is a number up to 65535, and IPv6 stands in brackets")
	}
	if found.Path != "" && found.Path != "/" || found.RawQuery != "" || found.Fragment != "" {
		return Address{}, errors.New("an address has no path: requests keep their own")
	}
	if found.User != nil {
		return Address{}, errors.New("an address has no user")
	}
	host, port := found.Hostname(), found.Port()
	if port == "" && !slashes {
		return Address{}, errors.New("that is not http://HOST:PORT or unix:PATH, such as http://127.0.0.1:3000")
	}
	if port == "" {
		port = "80"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return Address{}, errors.New("an address has a host, and a port other than 0")
	}
	return Address{"tcp", net.JoinHostPort(host, port)}, nil
}

// Dial opens a connection to the program.
func (a Address) Dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, a.network, a.address)
	if err != nil {
		return nil, err
	}
	if tcp, is := conn.(*net.TCPConn); is && tcp.LocalAddr().String() == tcp.RemoteAddr().String() {
		// A port of the ephemeral range that nobody listens on may be given to our own end: the
		// connection is one with itself, and would keep the program from its port.
		tcp.SetLinger(0)
		tcp.Close()
		return nil, &net.OpError{
			Op: "dial", Net: a.network, Addr: conn.RemoteAddr(),
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
		}
	}
	return conn, nil
}

// reason is the system's words for what went wrong, where it has some.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		text := number.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}
