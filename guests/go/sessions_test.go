package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"subproxy/guest/internal/vectors"
	"subproxy/guest/wire"
)

// Whole sessions of the vectors, played to a Subscriber over connections in memory, in a bubble
// whose clock stands still while somebody can run: tests/vectors/README.md.

// vectorApplication is the application that the vectors ask for.
func vectorApplication(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Write(body)
	case "/large", "/stream":
		if r.URL.Path == "/large" {
			Long(w)
		}
		control := http.NewResponseController(w)
		control.Flush()
		buffer := make([]byte, 1<<16)
		for {
			n, err := r.Body.Read(buffer)
			if n > 0 {
				if _, err := w.Write(buffer[:n]); err != nil {
					return
				}
				control.Flush()
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		for name, values := range r.Trailer {
			w.Header()[http.TrailerPrefix+name] = values
		}
	case "/fields":
		w.Header().Set("x", strings.Repeat("x", 2000))
		io.WriteString(w, "hello\n")
	case "/wait":
		<-r.Context().Done()
	case "/break":
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "hello\n")
	}
}

var ofExchange = []string{"response", "body", "end", "abort"}

// A player plays the proxy in one session.
type player struct {
	*testing.T
	session  vectors.Session
	byByte   bool
	mu       sync.Mutex
	conns    []*memoryConn // the subscription, then the data connections
	decoder  wire.Decoder
	frames   [][]any
	stop     context.CancelFunc
	stopping bool
	bye      bool // the guest has said it
}

func (p *player) dial(context.Context) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn := newMemoryConn()
	p.conns = append(p.conns, conn)
	return conn, nil
}

func (p *player) lines() []*memoryConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[1:]
}

func (p *player) play() {
	limits := wire.DefaultLimits
	set := func(value, said int) int {
		if said > 0 {
			return said
		}
		return value
	}
	limits.Frame = set(limits.Frame, p.session.Guest.Frame)
	limits.Window = set(limits.Window, p.session.Guest.Window)
	limits.Inline = set(limits.Inline, p.session.Guest.Inline)
	p.decoder.Limit = set(wire.DefaultLimits.Frame, p.session.Frame)
	subscriber := &Subscriber{
		Handler:       http.HandlerFunc(vectorApplication),
		Application:   "vectors",
		Routes:        []Route{{Host: `blog\.example`}},
		Dial:          p.dial,
		Concurrency:   p.session.Concurrency,
		Limits:        limits,
		GiveUpRefused: true,
		Logger:        slog.New(slog.DiscardHandler),
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		subscriber.Run(ctx)
		close(ended)
	}()
	synctest.Wait()
	for number, step := range p.session.Steps {
		if err := p.step(step); err != nil {
			p.Errorf("step %d, %.200v: %v; waiting: %.400v", number, step, err, p.frames)
			break
		}
	}
	subscriber.Close()
	p.stop()
	<-ended
	for _, each := range p.conns {
		each.Close()
	}
	synctest.Wait()
}

// send gives bytes to the guest's end of a connection, and lets it do all that it can.
func (p *player) send(conn *memoryConn, data string) {
	size := max(len(data), 1)
	if p.byByte {
		size = 1
	}
	for part := range slices.Chunk([]byte(data), size) {
		conn.in.write(part)
		synctest.Wait()
	}
}

// listen takes what the guest has said on the subscription.
func (p *player) listen() {
	for again := true; again; {
		again = false
		data, _ := p.conns[0].out.take()
		p.decoder.Feed(data)
		for {
			frame, ok, err := p.decoder.Next()
			if err != nil {
				p.Fatal("the guest has sent no frame:", err)
			}
			if !ok {
				break
			}
			said := frame.Plain().([]any)
			if p.stopping && said[0] == "unregister" {
				// A proxy is there that answers; the vectors know nothing of that.
				p.conns[0].in.write(wire.Append(nil, []any{"unregistered", said[1]}))
				synctest.Wait()
				again = true
				continue
			}
			p.bye = p.bye || said[0] == "bye"
			p.frames = append(p.frames, said)
		}
	}
}

func (p *player) take(belongs func([]any) bool) ([]any, error) {
	p.listen()
	for i, frame := range p.frames {
		if belongs(frame) {
			p.frames = slices.Delete(slices.Clone(p.frames), i, i+1)
			return frame, nil
		}
	}
	return nil, errors.New("the guest did not say it")
}

func (p *player) takeOf(exchange any) ([]any, error) {
	return p.take(func(frame []any) bool {
		return slices.Contains(ofExchange, frame[0].(string)) && frame[1] == exchange
	})
}

func (p *player) step(step []any) error {
	arguments, _ := vectors.Value(step[1:]).([]any)
	number := func(i int) int64 { n, _ := arguments[i].(int64); return n }
	switch step[0] {
	case "send":
		p.send(p.conns[0], arguments[0].(string))
	case "expect":
		return p.expect(arguments[0].([]any))
	case "response":
		return p.response(arguments)
	case "body":
		return p.body(arguments[0], arguments[1].(string))
	case "credit":
		return p.credit(arguments[0], number(1), number(2))
	case "failed":
		return p.failed(arguments[0])
	case "silence":
		seconds, fraction := arguments[0].(float64)
		if !fraction {
			seconds = float64(number(0))
		}
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		synctest.Wait()
	case "quiet":
		p.listen()
		return p.onlyMay(p.frames)
	case "stop":
		p.stopping = true
		p.stop()
		synctest.Wait()
	case "over":
		return p.over()
	case "dialled":
		if n := len(p.lines()); int64(n) != number(0) {
			return fmt.Errorf("it has dialled %d", n)
		}
	case "line":
		return p.line(int(number(0)), arguments[1].(string), arguments[2].(string))
	default:
		return errors.New("no such step")
	}
	return nil
}

func (p *player) onlyMay(frames [][]any) error {
	for _, frame := range frames {
		if verb := frame[0].(string); verb != "credit" && !slices.Contains(p.session.May, verb) {
			return fmt.Errorf("it said more: %v", frame)
		}
	}
	return nil
}

func (p *player) expect(pattern []any) error {
	frame, err := p.take(func(frame []any) bool {
		verb := frame[0].(string)
		if slices.Contains(ofExchange, pattern[0].(string)) {
			return slices.Contains(ofExchange, verb) && frame[1] == pattern[1]
		}
		return verb == pattern[0] || verb != "credit" && !slices.Contains(ofExchange, verb) &&
			!slices.Contains(p.session.May, verb)
	})
	if err == nil && !like(lowerNames(frame), lowerNames(pattern)) {
		err = fmt.Errorf("it said %v", frame)
	}
	return err
}

// like says whether a value matches a pattern.
func like(value, pattern any) bool {
	switch p := pattern.(type) {
	case []any:
		v, is := value.([]any)
		if !is || len(v) < len(p) {
			return false
		}
		for i := range p {
			if !like(v[i], p[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		v, is := value.(map[string]any)
		for key, each := range p {
			if one, there := v[key]; !is || !there || !like(one, each) {
				return false
			}
		}
		return is
	}
	return pattern == "*" || reflect.DeepEqual(value, pattern)
}

// lowerNames returns a frame with the names of its fields in lower case.
func lowerNames(frame []any) []any {
	index := map[any]int{"response": 3, "end": 2}[frame[0]]
	if index == 0 || len(frame) <= index {
		return frame
	}
	fields, is := frame[index].([]any)
	if !is {
		return frame
	}
	frame = slices.Clone(frame)
	frame[index] = lowered(fields)
	return frame
}

// lowered returns fields with names in lower case, in their order: that of fields with different
// names means nothing.
func lowered(fields []any) []any {
	found := []any{}
	for _, each := range fields {
		pair := each.([]any)
		found = append(found, []any{strings.ToLower(pair[0].(string)), pair[1]})
	}
	slices.SortStableFunc(found, func(a, b any) int {
		return strings.Compare(a.([]any)[0].(string), b.([]any)[0].(string))
	})
	return found
}

func (p *player) response(arguments []any) error {
	exchange, status, headers := arguments[0], arguments[1], arguments[2].([]any)
	body, trailers := arguments[3].(string), arguments[4].([]any)
	head, err := p.takeOf(exchange)
	for err == nil && head[0] == "response" && head[2].(int64) < 200 {
		head, err = p.takeOf(exchange)
	}
	if err != nil {
		return err
	}
	if head[0] != "response" || head[2] != status {
		return fmt.Errorf("it said %v", head)
	}
	sent := lowered(head[3].([]any))
	for _, each := range lowered(headers) {
		if !slices.ContainsFunc(sent, func(one any) bool { return reflect.DeepEqual(one, each) }) {
			return fmt.Errorf("%v is not there: %v", each, head)
		}
	}
	if head[5] != nil {
		inline := p.session.Inline
		if inline == 0 {
			inline = wire.DefaultLimits.Inline
		}
		if head[5] != body || len(trailers) > 0 || len(body) > inline {
			return fmt.Errorf("it said %v", head)
		}
		return nil
	}
	if err := p.body(exchange, body); err != nil {
		return err
	}
	end, err := p.takeOf(exchange)
	if err == nil && (end[0] != "end" || !reflect.DeepEqual(lowered(end[2].([]any)), lowered(trailers))) {
		err = fmt.Errorf("it said %v", end)
	}
	return err
}

func (p *player) body(exchange any, data string) error {
	var got bytes.Buffer
	for got.Len() < len(data) {
		frame, err := p.takeOf(exchange)
		if err != nil {
			return err
		}
		if frame[0] != "body" || frame[2] == "" {
			return fmt.Errorf("it said %v", frame)
		}
		got.WriteString(frame[2].(string))
	}
	if got.String() != data {
		return fmt.Errorf("it said %q", got.String())
	}
	return nil
}

func (p *player) credit(exchange any, low, high int64) error {
	total := int64(0)
	for total < low {
		frame, err := p.take(func(frame []any) bool {
			return frame[0] == "credit" && frame[1] == exchange
		})
		if err != nil {
			return err
		}
		total += frame[2].(int64)
	}
	if total > high {
		return fmt.Errorf("it granted %d", total)
	}
	return nil
}

func (p *player) failed(exchange any) error {
	frame, err := p.takeOf(exchange)
	if err != nil || frame[0] == "abort" {
		return err
	}
	if frame[0] != "response" || frame[2].(int64) < 500 {
		return fmt.Errorf("it said %v", frame)
	}
	for err == nil && frame[0] != "end" && frame[len(frame)-1] == nil {
		frame, err = p.takeOf(exchange)
	}
	return err
}

func (p *player) over() error {
	p.listen()
	frames := p.frames
	_, closed := p.conns[0].out.take()
	if n := len(frames); n > 0 && frames[n-1][0] == "bye" {
		frames = frames[:n-1]
	} else if !closed && !p.bye {
		return errors.New("it has not closed")
	}
	return p.onlyMay(frames)
}

func (p *player) line(number int, what, data string) error {
	lines := p.lines()
	if len(lines) < number {
		if what == "unused" {
			return nil
		}
		return errors.New("it was not dialled")
	}
	line := lines[number-1]
	switch what {
	case "send":
		p.send(line, data)
	case "expect", "quiet":
		got, closed := line.out.take()
		if string(got) != data || closed {
			return fmt.Errorf("it sent %q, closed: %v", got, closed)
		}
	case "end":
		line.Close()
		synctest.Wait()
	case "over", "unused":
		if _, closed := line.out.take(); !closed && what == "unused" {
			p.send(line, data)
		}
		if _, closed := line.out.take(); !closed {
			return errors.New("it has not closed it")
		}
	}
	return nil
}

func TestSessionVectors(t *testing.T) {
	for _, name := range []string{"sessions.json", "data.json"} {
		var all vectors.Sessions
		vectors.Load(t, "../..", name, &all)
		if len(all.Sessions) == 0 {
			t.Error("no sessions in", name)
		}
		for _, session := range all.Sessions {
			for way, byByte := range map[string]bool{"whole": false, "byte by byte": true} {
				t.Run(way+"/"+session.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						(&player{T: t, session: session, byByte: byByte}).play()
					})
				})
			}
		}
	}
}
