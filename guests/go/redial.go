package guest

import (
	"math"
	"time"
)

// How a subscription ended, and what is to be done: docs/protocol.md, "Dialling again". Pure; the
// clock and the dice are the caller's.

const (
	firstWait   = 50 * time.Millisecond
	longestWait = 2500 * time.Millisecond
	settled     = 500 * time.Millisecond // a drain of a connection that lasted so long: at once
)

// An ending is why nothing new comes over a connection.
type ending byte

const (
	unreachable   ending = iota // the dial failed
	lost                        // the connection ended, or was silent
	refused                     // hello was refused
	toldBye                     // the proxy said bye
	misunderstood               // the proxy has broken a rule of the connection
	drained                     // the proxy drains
	restored                    // another epoch: the machine was restored
)

// An outcome is an ending with what was said.
type outcome struct {
	ending       ending
	code, reason string
}

// An action is what follows an outcome.
type action struct {
	final bool          // do not dial again
	renew bool          // take a new instance first
	tell  bool          // a person should hear of it: this guest, or the proxy, has a fault
	reset bool          // the next wait is a first one again
	wait  time.Duration // the upper end of the wait
}

// next decides. Attempt counts the waits since the last that was the first, from 0.
func next(o outcome, attempt int, lasted time.Duration, retryRefused bool) action {
	upper := time.Duration(math.Min(
		float64(longestWait), float64(firstWait)*math.Pow(2, float64(attempt))))
	if lasted > longestWait {
		upper = firstWait
	}
	again := action{wait: upper, reset: lasted > longestWait}
	switch o.ending {
	case drained:
		if lasted >= settled {
			again.wait = 0
		}
	case restored:
		again.renew = true
	case misunderstood:
		again.tell = true
	case refused:
		switch o.code {
		case "version", "hello", "replaced":
			return action{final: true}
		}
		if !retryRefused {
			return action{final: true}
		}
	case toldBye:
		switch o.code {
		case "replaced":
			return action{final: true}
		case "again":
			again.renew = true
		case "frame", "message", "state", "offences":
			again.tell = true
		}
	}
	return again
}
