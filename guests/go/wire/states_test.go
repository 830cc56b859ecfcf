package wire

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page returns the rows of the table of docs/protocol.md that has such a heading, as cells.
func page(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), heading+"\n")
	if !found {
		t.Fatal("the page has no table", heading)
	}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		if !strings.HasPrefix(line, "| ---") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

var quoted = regexp.MustCompile("`([a-z]+)`")

// TestSidesAreThePage holds the states of a side to the first table of "States".
func TestSidesAreThePage(t *testing.T) {
	names := map[string]SideState{"idle": Idle, "open": Open, "draining": Draining, "done": Done}
	senders := map[string]Sender{"guest": Guest, "proxy": Proxy}
	var expected [Proxy + 1][sideStates][verbs]SideState
	add := func(sender Sender, state SideState, clause string) {
		next := state
		if _, to, is := strings.Cut(clause, "→"); is {
			next = names[strings.TrimSpace(to)]
		}
		for _, each := range quoted.FindAllStringSubmatch(clause, -1) {
			if next != 0 { // a data connection is no subscription
				expected[sender][state][verbOf[each[1]]] = next
			}
		}
	}
	for _, row := range page(t, "| sender | state | may send, and is then |") {
		sender, state := senders[row[0]], names[row[1]]
		if sender == 0 || state == 0 {
			continue
		}
		if strings.HasPrefix(row[2], "as in open") {
			for verb, next := range expected[sender][Open] {
				if next == Open {
					expected[sender][Draining][verb] = Draining
				}
			}
			if strings.Contains(row[2], "but not") {
				expected[sender][Draining][Request] = 0
			}
			expected[sender][Draining][Bye] = Done
			continue
		}
		for clause := range strings.SplitSeq(row[2], ";") {
			add(sender, state, clause)
		}
	}
	for _, sender := range []Sender{Guest, Proxy} {
		for state := Idle; state < sideStates; state++ {
			for verb := range verbs {
				if sides[sender][state][verb] != expected[sender][state][verb] {
					t.Errorf("sender %d, state %d, %v: %d, on the page %d", sender, state, verb,
						sides[sender][state][verb], expected[sender][state][verb])
				}
			}
		}
	}
}

// TestHalvesAndTunnelsAreThePage counts what the tables allow, and what the page does.
func TestHalvesAndTunnelsAreThePage(t *testing.T) {
	states := map[string]Half{
		"waiting": Waiting, "streaming": Streaming, "bulk": Bulk, "raw": Raw, "done": Complete,
	}
	words := []struct {
		text string
		step step
	}{
		{"a head with its whole body", whole}, {"with null", stream},
		{"a dictionary that accepts a tunnel", direct}, {"with a dictionary", line},
		{"an interim response", interim}, {"`body`", body}, {"`move`", move}, {"`end`", end},
	}
	// What the note below the table says: unless it is done.
	expected := []string{fmt.Sprint(requestHalf, Complete, direct, Complete)}
	for _, row := range page(t, "| half | state | may come, and it is then |") {
		which := []int{requestHalf, responseHalf}
		if row[0] == "request" {
			which = which[:1]
		} else if row[0] == "response" {
			which = which[1:]
		}
		for clause := range strings.SplitSeq(row[2], ";") {
			what, to, is := strings.Cut(clause, "→")
			if !is {
				continue
			}
			for _, word := range words {
				if strings.Contains(what, word.text) {
					for _, one := range which {
						expected = append(expected, fmt.Sprint(
							one, states[row[1]], word.step, states[strings.TrimSpace(to)]))
					}
					break
				}
			}
		}
	}
	var got []string
	for which, table := range halves {
		for state, row := range table {
			for step, next := range row {
				if next != 0 {
					got = append(got, fmt.Sprint(which, state, step, next))
				}
			}
		}
	}
	compare(t, got, expected)

	tunnelNames := map[string]TunnelState{
		"asked": Asked, "framed": Framed, "offered": Offered, "moving": Moving, "direct": Direct,
	}
	tunnelWords := map[string]tunnelStep{
		"null that accepts": acceptedFramed, "a dictionary that accepts": acceptedDirect,
		"`connect`": offered, "`move`": moved,
	}
	got, expected = nil, nil
	for _, row := range page(t, "| tunnel | may come, and it is then |") {
		for clause := range strings.SplitSeq(row[1], ";") {
			what, to, _ := strings.Cut(clause, "→")
			expected = append(expected, fmt.Sprint(tunnelNames[row[0]],
				tunnelWords[strings.TrimSpace(what)], tunnelNames[strings.TrimSpace(to)]))
		}
	}
	for state, row := range tunnels {
		for step, next := range row {
			if next != NoTunnel {
				got = append(got, fmt.Sprint(state, step, next))
			}
		}
	}
	compare(t, got, expected)
}

func compare(t *testing.T, got, expected []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		t.Errorf("the tables allow\n%v\nand the page\n%v", got, expected)
	}
}
