package guest

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	long := time.Minute
	for name, each := range map[string]struct {
		outcome outcome
		attempt int
		lasted  time.Duration
		retry   bool
		action  action
	}{
		"the first":      {outcome{ending: lost}, 0, 0, true, action{wait: 50 * time.Millisecond}},
		"doubled":        {outcome{ending: unreachable}, 3, 0, true, action{wait: 400 * time.Millisecond}},
		"at most":        {outcome{ending: unreachable}, 90, 0, true, action{wait: 2500 * time.Millisecond}},
		"lasted":         {outcome{ending: lost}, 9, long, true, action{reset: true, wait: 50 * time.Millisecond}},
		"drained":        {outcome{ending: drained}, 2, time.Second, true, action{}},
		"drained early":  {outcome{ending: drained}, 0, 400 * time.Millisecond, true, action{wait: 50 * time.Millisecond}},
		"version":        {outcome{refused, "version", ""}, 0, 0, true, action{final: true}},
		"hello":          {outcome{refused, "hello", ""}, 0, 0, true, action{final: true}},
		"replaced":       {outcome{refused, "replaced", ""}, 0, 0, true, action{final: true}},
		"quota":          {outcome{refused, "quota", ""}, 0, 0, true, action{wait: 50 * time.Millisecond}},
		"quota, watched": {outcome{refused, "quota", ""}, 0, 0, false, action{final: true}},
		"bye replaced":   {outcome{toldBye, "replaced", ""}, 0, long, true, action{final: true}},
		"bye again":      {outcome{toldBye, "again", ""}, 0, 0, true, action{renew: true, wait: 50 * time.Millisecond}},
		"bye offences":   {outcome{toldBye, "offences", ""}, 0, 0, true, action{tell: true, wait: 50 * time.Millisecond}},
		"bye tuesday":    {outcome{toldBye, "tuesday", ""}, 0, 0, true, action{wait: 50 * time.Millisecond}},
		"restored":       {outcome{ending: restored}, 0, 0, true, action{renew: true, wait: 50 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := next(each.outcome, each.attempt, each.lasted, each.retry); got != each.action {
				t.Errorf("got %+v, expected %+v", got, each.action)
			}
		})
	}
}

// TestFinalCodesAreThePage: the codes after which the page says not to dial again are those.
func TestFinalCodesAreThePage(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `refused` 0 with `version` or `hello` | final",
		"| `refused` 0 or `bye` with `replaced` | final",
		"| `refused` for a route, `too-fast` | `register` it again after a second |",
	} {
		if !strings.Contains(string(text), row) {
			t.Error("the page does not say", row)
		}
	}
}

func TestOutage(t *testing.T) {
	var o outage
	now := time.Unix(1000, 0)
	if got := o.failed(now, "no file"); got != "no file; dialling again until it is there" {
		t.Error(got)
	}
	if got := o.failed(now.Add(time.Second), "no file"); got != "" {
		t.Error(got)
	}
	if got := o.failed(now.Add(11*time.Second), "no file"); got != "still no file; 3 dials in 11 s" {
		t.Error(got)
	}
	if got := o.over(now.Add(12 * time.Second)); got != "subscribed, after 3 dials in 12 s" {
		t.Error(got)
	}
	if got := o.over(now); got != "" {
		t.Error(got)
	}
}

func TestDiallers(t *testing.T) {
	for _, wrong := range []string{"/run/vm.sock", "unix:", "tcp:one", "vsock:a:b", "vsock:", "ftp:x:1"} {
		if _, err := Dialler(wrong); err == nil {
			t.Error("it is one:", wrong)
		}
	}
	for _, right := range []string{"", "unix:/run/vm.sock", "tcp:127.0.0.1:80", "vsock:2", "vsock:2:12345"} {
		if _, err := Dialler(right); err != nil {
			t.Error(err)
		}
	}
}
