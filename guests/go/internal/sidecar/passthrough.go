package sidecar

import (
	"context"
	"io"
	"net"
	"time"
)

// dialTime is how long a dial may take.
const dialTime = 5 * time.Second

// halfCloser is a connection whose halves end by themselves.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// PassThrough lets the program have what the listener takes, until that is closed: the TLS of
// clients, which the program ends. Unreachable is called when it can't be dialled.
func PassThrough(listener net.Listener, program Address, unreachable func()) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			ctx, stop := context.WithTimeout(context.Background(), dialTime)
			defer stop()
			conn, err := program.Dial(ctx)
			if err != nil {
				unreachable()
				return
			}
			defer conn.Close()
			join(client.(halfCloser), conn.(halfCloser))
		}()
	}
}

// join copies both ways until both halves have ended, or one has broken off.
func join(client, program halfCloser) {
	done := make(chan error, 2)
	pass := func(to, from halfCloser) {
		_, err := io.Copy(to, from)
		if err == nil {
			err = to.CloseWrite()
		}
		done <- err
	}
	go pass(program, client)
	go pass(client, program)
	if <-done == nil {
		<-done
	}
}
