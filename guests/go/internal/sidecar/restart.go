package sidecar

import (
	"math"
	"time"
)

// A RestartMode says after which ends a program is started again; named as by Docker and systemd.
type RestartMode string

// The modes.
const (
	Always    RestartMode = "always"
	OnFailure RestartMode = "on-failure"
	Never     RestartMode = "never"
)

// restarts says whether a program that has ended with status by itself is started again.
func (m RestartMode) restarts(status int) bool {
	return m == Always || m == OnFailure && status != 0
}

const (
	firstRestart   = 100 * time.Millisecond
	longestRestart = 30 * time.Second
	settled        = 10 * time.Second // a run that has served for so long was a good one
)

// backoff is how long to wait before the next run, by how the last ones went.
type backoff struct{ failed int }

func (b *backoff) ended(served time.Duration) time.Duration {
	if served >= settled {
		b.failed = 0
	}
	wait := math.Min(float64(longestRestart), float64(firstRestart)*math.Pow(2, float64(b.failed)))
	b.failed++
	return time.Duration(wait)
}
