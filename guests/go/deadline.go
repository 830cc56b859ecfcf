package guest

import "time"

// A deadline is a point in time from which on an operation fails; those that wait are woken then.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

// set sets it; the zero time is none. Wake lets those who wait look again.
func (d *deadline) set(at time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), wake)
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// pass sets it on a connection too, if there is one.
func (d *deadline) pass(set func(time.Time) error) {
	if !d.at.IsZero() {
		set(d.at)
	}
}
