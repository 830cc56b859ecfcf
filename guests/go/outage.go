package guest

import (
	"fmt"
	"math"
	"time"
)

const (
	firstReminder   = 10 * time.Second
	longestReminder = 10 * time.Minute // each interval is three times the one before
	jump            = 10 * time.Second
)

// An outage is the dials since there was a subscription, and what was told of them.
type outage struct {
	dials    int
	began    time.Time
	told     map[string]struct{}
	next     time.Time
	interval time.Duration
}

// failed counts a dial that failed. It returns what is to be told of it now, or "".
func (o *outage) failed(now time.Time, reason string) string {
	if o.dials == 0 {
		*o = outage{began: now, next: now, told: map[string]struct{}{}, interval: firstReminder}
	}
	o.dials++
	if _, known := o.told[reason]; !known {
		o.told[reason] = struct{}{}
		o.next = now.Add(o.interval)
		return reason + "; dialling again until it is there"
	}
	if now.Before(o.next) {
		return ""
	}
	o.interval = min(3*o.interval, longestReminder)
	o.next = now.Add(o.interval)
	return fmt.Sprintf("still %s; %d dials in %.0f s", reason, o.dials, now.Sub(o.began).Seconds())
}

// over says that there is a subscription. It returns what is to be told of it, or "".
func (o *outage) over(now time.Time) string {
	dials, began := o.dials, o.began
	o.dials = 0
	if dials == 0 {
		return ""
	}
	return fmt.Sprintf("subscribed, after %d dials in %.0f s", dials, now.Sub(began).Seconds())
}

// describe is one line of an outcome, for a person.
func (o outcome) describe(where string) string {
	switch o.ending {
	case unreachable:
		return fmt.Sprintf("cannot reach the proxy at %s: %s", where, o.reason)
	case refused:
		return fmt.Sprintf("the proxy at %s refuses: %s", where, said(o.code, o.reason))
	case toldBye:
		return fmt.Sprintf("no subscription at %s: the proxy said bye: %s", where, said(o.code, o.reason))
	case misunderstood:
		return fmt.Sprintf("the proxy at %s has broken a rule: %s", where, said(o.code, o.reason))
	case restored:
		return "this machine was restored"
	}
	return fmt.Sprintf("no subscription at %s: %s", where, o.reason)
}

// A clockJump compares the wall clock with the monotonic one: where a machine is restored, the
// first has jumped ahead.
type clockJump struct{ start time.Time }

func newClockJump(now time.Time) *clockJump { return &clockJump{now} }

// jumped says whether the wall clock has gained more than 10 seconds since the last look.
func (c *clockJump) jumped(now time.Time) bool {
	monotonic := now.Sub(c.start)
	wall := now.Round(0).Sub(c.start.Round(0))
	c.start = now
	gained := wall - monotonic
	return gained > jump && gained < math.MaxInt64
}
