// Package guest lets an [http.Handler] in a virtual machine answer the requests that a subproxy on
// the host gets.
//
// A [Subscriber] dials the proxy, over vsock in a machine and over a unix socket elsewhere,
// registers its routes, and calls the handler for each request, as [http.Server] does:
//
//	subscriber := &guest.Subscriber{
//		Application: "blog",
//		Routes:      []guest.Route{{Host: `blog\.example`}},
//		Handler:     mux,
//	}
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	log.Fatal(subscriber.Run(ctx))
//
// It dials again whenever the connection is lost, for ever. When the context of Run is done it
// takes no new requests, finishes those that are under way, and returns.
//
// What a handler may expect is what it may of http.Server: bodies stream in both directions under
// flow control, Flush sends what was written, WriteHeader with a status from 100 to 199 sends an
// interim response, trailers work as net/http documents them, and the context of a request is done
// when its client has left. The differences: the response's framing is the proxy's affair, requests
// are always full duplex, [http.ResponseController.Hijack] is there for requests with Upgrade alone
// (WebSocket), and a handler that panics before its response has begun gives the client status 500.
//
// Large bodies go over connections of their own, beside the subscription. The package does that by
// itself where the length is known; [Long] says it of a response whose length is not.
//
// The protocol is docs/protocol.md; package wire has the part of it that does no I/O.
package guest
