package machine

import (
	"slices"
	"testing"
)

func TestCommand(t *testing.T) {
	found, err := parseSettings(`quiet subproxy.to=unix:/run/app subproxy.host=a\.example subproxy.host=b ` +
		`subproxy.arg=--ready=/healthz subproxy.run=sh subproxy.run=-c subproxy.run=exec%20node%20app.js`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := merge(settings{"to": {"127.0.0.1:1"}, "proxy": {"vsock:2:1"}}, found).command([]string{"--weight=7"})
	wanted := []string{
		"--proxy=vsock:2:1", "--to=unix:/run/app", `--host=a\.example`, "--path=/.*", "--host=b", "--path=/.*",
		"--ready=/healthz", "--weight=7", "--", "sh", "-c", "exec node app.js",
	}
	if err != nil || !slices.Equal(got, wanted) {
		t.Error(got, err)
	}
}

func TestWrongSettings(t *testing.T) {
	for _, line := range []string{
		"subproxy.nonsense=1", "subproxy.to", "subproxy.to=a subproxy.to=b", "subproxy.host=%2", "subproxy.host=%ff",
	} {
		if found, err := parseSettings(line); err == nil {
			t.Error(line, found)
		}
	}
	found, _ := parseSettings("subproxy.host=a subproxy.host=b subproxy.path=/1 subproxy.path=/2 subproxy.path=/3")
	if got, err := found.command(nil); err == nil {
		t.Error(got)
	}
}

func TestTheEnvironmentIsAddedTo(t *testing.T) {
	all := merge(settings{"env": {"A=1", "B=2"}, "host": {"a"}}, settings{"env": {"A=3"}, "host": {"b"}})
	if !slices.Equal(all["env"], []string{"A=1", "B=2", "A=3"}) || !slices.Equal(all["host"], []string{"b"}) {
		t.Error(all)
	}
}

func TestUser(t *testing.T) {
	as, err := settings{"user": {"1000:100,44,27"}}.credential()
	if err != nil || as.Uid != 1000 || as.Gid != 100 || !slices.Equal(as.Groups, []uint32{44, 27}) {
		t.Error(as, err)
	}
	if as, err := (settings{}).credential(); as != nil || err != nil {
		t.Error(as, err)
	}
	for _, text := range []string{"app", "1000", "1000:", "1000:1,", "-1:1", "4294967296:1"} {
		if as, err := (settings{"user": {text}}).credential(); err == nil {
			t.Error(text, as)
		}
	}
}

func TestPressed(t *testing.T) {
	event := make([]byte, eventSize)
	event[16], event[18], event[20] = evKey, keyPower, 1
	if !pressed(append(make([]byte, eventSize), event...)) || pressed(event[:eventSize-1]) {
		t.Error("not seen, or seen of a part")
	}
	event[20] = 0
	if pressed(event) {
		t.Error("its going up is no press")
	}
}
