// Package wire is the guest's side of the subscription protocol, version 1, up to revision 3 of
// docs/protocol.md.
//
// It is pure: it does no I/O, reads no clock and starts no goroutine. A [Conn] is fed with the
// bytes that came, says what they mean as [Event] values, and collects the bytes that are to be
// written. What may come when is in the tables of states.go, and nowhere else.
//
// Nothing here is safe for use by several goroutines at a time: the caller holds one lock for
// each connection.
package wire
