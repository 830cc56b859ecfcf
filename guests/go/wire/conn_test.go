package wire

import (
	"reflect"
	"strings"
	"testing"
)

// A conversation is a Conn under test, and what its proxy says.
type conversation struct {
	*testing.T
	conn *Conn
}

// welcomed returns a connection that has said hello, and was welcomed with info.
func welcomed(t *testing.T, hello HelloInfo, info map[string]any) conversation {
	t.Helper()
	c := conversation{t, NewConn(DefaultLimits)}
	hello.Application, hello.Instance, hello.Process = "blog", "1", -1
	c.conn.Hello(hello)
	info["version"] = 1
	c.says("welcome", info)
	c.event(Welcomed)
	c.conn.Take(nil)
	return c
}

// says feeds a frame of the proxy.
func (c conversation) says(elements ...any) { c.conn.Feed(Append(nil, elements)) }

// event takes the next event, which must be of that kind; 0 is none.
func (c conversation) event(kind Kind) Event {
	c.Helper()
	event, ok := c.conn.Next()
	if event.Kind != kind || ok != (kind != 0) {
		c.Fatalf("event %+v, and not of kind %d", event, kind)
	}
	return event
}

// said returns the frames that the guest has said since the last call.
func (c conversation) said() (frames []any) {
	c.Helper()
	found, err := decodeAll(string(c.conn.Take(nil)), maxFrame, 1<<30)
	if err != nil {
		c.Fatal(err)
	}
	for _, each := range found {
		frames = append(frames, each.Plain())
	}
	return frames
}

func (c conversation) expect(frames ...any) {
	c.Helper()
	if got := c.said(); !reflect.DeepEqual(got, frames) {
		c.Fatalf("it said %v, and not %v", got, frames)
	}
}

var none = map[string]any{}

func tunnelled(t *testing.T) (conversation, *Exchange) {
	t.Helper()
	c := welcomed(t, HelloInfo{Bulk: true, Tunnels: []string{"websocket"}},
		map[string]any{"bulk": 10, "tunnel": 100, "window": 5})
	c.says("request", 1, "GET", "/", []any{}, map[string]any{"tunnel": "websocket"}, nil)
	return c, c.event(Began).Exchange
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTunnelInFrames: each half ends by itself, and the exchange with both.
func TestTunnelInFrames(t *testing.T) {
	c, x := tunnelled(t)
	must(t, c.conn.Respond(x, 200, nil, "", Stream()))
	c.expect([]any{"response", int64(1), int64(200), []any{}, none, nil})
	c.conn.Consumed(x, 0)
	c.expect([]any{"credit", int64(1), int64(65_536)})
	n, err := c.conn.Write(x, []byte("1234567"))
	if n != 5 || err != nil {
		t.Fatal(n, err)
	}
	c.says("body", 1, "in")
	c.says("end", 1)
	c.event(Came)
	c.event(Ended)
	if x.Over() {
		t.Fatal("over, and the response's half goes on")
	}
	must(t, c.conn.End(x, nil, -1))
	if !x.Over() || c.conn.Exchanges() != 0 {
		t.Fatal("not over")
	}
}

// TestTunnelMoves: what follows of each half goes over the data connection, and its length is told.
func TestTunnelMoves(t *testing.T) {
	c, x := tunnelled(t)
	must(t, c.conn.Respond(x, 200, nil, "", Stream()))
	c.conn.Consumed(x, 0)
	c.conn.Write(x, []byte("123"))
	c.says("body", 1, "in")
	c.says("connect", 1, "token")
	c.event(Came)
	if got := c.event(Invited); got.Text != "token" {
		t.Fatal(got)
	}
	c.said()
	must(t, c.conn.Move(x))
	c.expect([]any{"move", int64(1), int64(3)})
	if _, err := c.conn.Write(x, []byte("4")); err != ErrState {
		t.Fatal(err)
	}
	c.says("connect", 1, "overtaken")
	c.says("credit", 1, 5)
	c.event(0)
	c.says("move", 1, 2)
	c.event(Moved)
	c.says("end", 1, []any{}, map[string]any{"length": 2})
	c.event(Ended)
	if err := c.conn.End(x, nil, -1); err != ErrState {
		t.Fatal("an end without a length:", err)
	}
	must(t, c.conn.End(x, nil, 9))
	c.expect([]any{"end", int64(1), []any{}, map[string]any{"length": int64(9)}})
	if !x.Over() {
		t.Fatal("not over")
	}
}

// TestTunnelDirect: both halves are raw from the first byte on.
func TestTunnelDirect(t *testing.T) {
	c, x := tunnelled(t)
	must(t, c.conn.Respond(x, 201, nil, "", Line(-1)))
	c.expect([]any{"response", int64(1), int64(201), []any{}, none, none})
	c.says("connect", 1, "token")
	c.event(Invited)
	c.says("end", 1, []any{}, map[string]any{"length": 4})
	c.event(Ended)
	must(t, c.conn.End(x, nil, 0))
}

// TestTunnelRefused: it is an exchange like any other then.
func TestTunnelRefused(t *testing.T) {
	c, x := tunnelled(t)
	must(t, c.conn.Respond(x, 403, nil, "", Whole([]byte("no"))))
	if !x.Over() || x.Tunnel() != NoTunnel {
		t.Fatal(x)
	}
}

// TestFaults: each ends its exchange, and the connection goes on.
func TestFaults(t *testing.T) {
	length := func(n int) map[string]any { return map[string]any{"length": n} }
	accepted := func(c conversation, x *Exchange) {
		c.conn.Respond(x, 200, nil, "", Stream())
		c.conn.Consumed(x, 0)
	}
	direct := func(c conversation, x *Exchange) { c.conn.Respond(x, 200, nil, "", Line(-1)) }
	for name, each := range map[string]struct {
		before func(conversation, *Exchange)
		frame  []any
	}{
		"move of what was not offered":     {accepted, []any{"move", 1, 0}},
		"move before the answer":           {nil, []any{"move", 1, 0}},
		"connect before the answer":        {nil, []any{"connect", 1, "t"}},
		"body before credit":               {nil, []any{"body", 1, "x"}},
		"body of a half that is raw":       {direct, []any{"body", 1, "x"}},
		"end of a raw half, and no length": {direct, []any{"end", 1}},
		"more credit than a window holds":  {accepted, []any{"credit", 1, MaxWindow}},
		"a move of another length": {func(c conversation, x *Exchange) {
			accepted(c, x)
			c.says("connect", 1, "t")
			c.event(Invited)
		}, []any{"move", 1, 7}},
		"less than went in frames": {func(c conversation, x *Exchange) {
			accepted(c, x)
			c.says("connect", 1, "t")
			c.event(Invited)
			c.says("body", 1, "1234")
			c.event(Came)
			c.says("move", 1, 4)
			c.event(Moved)
		}, []any{"end", 1, []any{}, length(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			c, x := tunnelled(t)
			if each.before != nil {
				each.before(c, x)
			}
			c.said()
			c.says(each.frame...)
			c.event(Faulted)
			said := c.said()
			if len(said) != 1 || !reflect.DeepEqual(said[0].([]any)[:3], []any{"abort", int64(1), "protocol"}) {
				t.Fatal(said)
			}
			c.says(each.frame...)
			c.event(0)
		})
	}
}

// TestTunnelsThatNobodyAskedFor: another protocol, or a body, is an error of the exchange; and
// without tunnels the key means nothing.
func TestTunnelsThatNobodyAskedFor(t *testing.T) {
	c, _ := tunnelled(t)
	c.says("request", 2, "GET", "/", []any{}, map[string]any{"tunnel": "tls"}, nil)
	c.event(Faulted)
	c.says("request", 3, "GET", "/", []any{}, map[string]any{"tunnel": "websocket"}, "")
	c.event(Faulted)
	c = welcomed(t, HelloInfo{}, map[string]any{"tunnel": 0})
	c.says("request", 1, "GET", "/", []any{}, map[string]any{"tunnel": "tls"}, "")
	if x := c.event(Began).Exchange; x.Tunnel() != NoTunnel {
		t.Fatal(x)
	}
}

// TestLimitsOfTheProxy: what would be longer than it takes is not sent.
func TestLimitsOfTheProxy(t *testing.T) {
	c := welcomed(t, HelloInfo{}, map[string]any{"frame": 1024, "inline": 100})
	c.says("request", 1, "GET", "/", []any{}, none, "")
	x := c.event(Began).Exchange
	long := []Field{{"x", strings.Repeat("x", 1024)}}
	for _, err := range []error{
		c.conn.Respond(x, 200, long, "", Whole(nil)),
		c.conn.Respond(x, 200, nil, "", Whole(make([]byte, 101))),
		c.conn.Interim(x, 103, long),
	} {
		if err != ErrTooLong {
			t.Fatal(err)
		}
	}
	c.expect()
	for range MaxInterim / InterimCost {
		must(t, c.conn.Interim(x, 103, nil))
	}
	if err := c.conn.Interim(x, 103, nil); err != ErrInterim {
		t.Fatal(err)
	}
}

// TestSizes: a frame is as long as it says, whatever the sizes of its parts.
func TestSizes(t *testing.T) {
	for _, size := range []int{0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10_000} {
		c := welcomed(t, HelloInfo{}, map[string]any{"window": MaxWindow})
		c.says("request", 1, "GET", "/", []any{}, none, "")
		x := c.event(Began).Exchange
		text := strings.Repeat("a", size)
		must(t, c.conn.Respond(x, 200, []Field{{text, "b"}, {"c", text}}, text[:min(size, 1024)], Stream()))
		c.conn.Write(x, []byte(text))
		must(t, c.conn.End(x, []Field{{"t", text}}, int64(size)))
		if n := len(c.said()); n != 3 && !(size == 0 && n == 2) {
			t.Fatal(size, n)
		}
	}
}

// FuzzConn feeds bytes behind a welcome: whatever comes, there is no panic, and each frame that is
// said is one.
func FuzzConn(f *testing.F) {
	f.Add([]byte("99:7:request,1:1#3:GET,1:/,27:23:4:Host,12:blog.example,]]37:6:client,9:127.0.0.1,6:scheme,4:http,}0:,]"))
	f.Add([]byte("104:7:request,1:1#4:POST,5:/echo,0:]0:}0:~]15:4:body,1:1#1:x,]16:3:end,1:1#0:]0:}]"))
	f.Add([]byte("24:5:abort,1:1#6:client,0:,]17:6:credit,1:1#1:9#]6:3:bye,]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := welcomed(t, HelloInfo{Bulk: true, Tunnels: []string{"websocket"}},
			map[string]any{"bulk": 1, "tunnel": 0})
		c.conn.Feed(data)
		for event, ok := c.conn.Next(); ok; event, ok = c.conn.Next() {
			if event.Kind == Began {
				c.conn.Consumed(event.Exchange, 0)
				c.conn.Respond(event.Exchange, 200, nil, "", Stream())
			}
		}
		c.said()
	})
}
