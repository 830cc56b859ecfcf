package sidecar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"subproxy/guest"
)

const (
	// idleTime is for how long an idle connection is used again. Programs close theirs after a
	// while, and what is sent at that moment is lost: gunicorn after 2 s, uvicorn and Node after 5.
	idleTime = 1500 * time.Millisecond
	// continueTime is how long a program has to say 100 (Continue), or something else; then it gets
	// the body: it may know nothing of Expect.
	continueTime = time.Second
	// mostKept is the longest body that is kept so that it can go again, in bytes.
	mostKept = 65_536
	pieces   = 32 << 10
)

// A Bridge is a handler that passes requests on to a program.
type Bridge struct {
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

// NewBridge returns one for the program at address. Host is the Host that it sees; empty: the
// client's. UpgradeTimeout is how long it may take to answer an upgrade. Unreachable is called when
// it can't be dialled.
func NewBridge(
	address Address, host string, upgradeTimeout time.Duration, unreachable func(), logger *slog.Logger,
) *Bridge {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := address.Dial(ctx)
			if err != nil {
				return nil, err
			}
			return &earlyConn{Conn: conn}, nil
		},
		DisableCompression:    true,
		IdleConnTimeout:       idleTime,
		MaxIdleConnsPerHost:   1024,
		ExpectContinueTimeout: continueTime,
	}
	rewrite := func(r *httputil.ProxyRequest) { rewrite(r, address.Authority(), host) }
	return &Bridge{transport, &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     upgradeTransport{earlyTransport{transport}, upgradeTimeout},
		FlushInterval: -1,
		BufferPool:    buffers{},
		ErrorLog:      log.New(io.Discard, "", 0), // what goes wrong is told below
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			var failure *net.OpError
			switch {
			case r.Context().Err() != nil:
			case errors.As(err, &failure) && failure.Op == "dial":
				unreachable()
				logger.Warn("the program can't be reached: " + reason(err))
				panic(guest.ErrRefused)
			default:
				logger.Warn("No answer to " + r.Method + " " + shown(r.RequestURI) + ": " + err.Error())
			}
			panic(http.ErrAbortHandler)
		},
	}}
}

// Clear closes the connections to the program that are idle.
func (b *Bridge) Clear() { b.transport.CloseIdleConnections() }

// ServeHTTP passes a request on.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.proxy.ServeHTTP(w, r) }

// shown is a target, cut to what a person reads.
func shown(target string) string {
	if len(target) > 200 {
		return target[:200] + "..."
	}
	return target
}

// rewrite makes the request for the program: the client's own, but for Host where that is asked.
func rewrite(r *httputil.ProxyRequest, authority, host string) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", authority
	// The target goes on byte for byte.
	path, query, asks := strings.Cut(r.In.RequestURI, "?")
	if !strings.HasPrefix(path, "//") {
		r.Out.URL.Opaque = path
	}
	r.Out.URL.RawQuery, r.Out.URL.ForceQuery = query, asks
	r.Out.Host = r.In.Host
	if r.Out.Host == "" {
		r.Out.Host = authority
	}
	// What the proxy says of the client is right as it is.
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, is := r.In.Header[name]; is {
			r.Out.Header[name] = values
		}
	}
	if host != "" {
		if _, is := r.In.Header["X-Forwarded-Host"]; !is && r.In.Host != "" {
			r.Out.Header["X-Forwarded-Host"] = []string{r.In.Host}
		}
		r.Out.Host = host
	}
	if _, is := r.In.Header["User-Agent"]; !is {
		r.Out.Header["User-Agent"] = nil // none of Go's own
	}
	if r.In.ContentLength < 0 {
		// Trailers come at the end of the body, to this very table.
		if r.In.Trailer == nil {
			r.In.Trailer = http.Header{}
		}
		r.Out.Trailer = r.In.Trailer
	}
	repeatable(r)
}

// repeatable lets a request that meets a closed connection go again where that is safe: RFC 9110,
// section 9.2.2. Go's transport knows the methods that are safe by themselves.
func repeatable(r *httputil.ProxyRequest) {
	switch r.Out.Method {
	case http.MethodPut, http.MethodDelete:
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return
	}
	if _, is := r.Out.Header["X-Idempotency-Key"]; !is {
		r.Out.Header["X-Idempotency-Key"] = nil // is not sent
	}
	length := r.Out.ContentLength
	if length <= 0 || length > mostKept || r.In.Header.Get("Expect") != "" {
		return
	}
	data := make([]byte, length)
	n, err := io.ReadFull(r.In.Body, data)
	if err != nil {
		r.Out.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data[:n]), failing{err}))
		return
	}
	r.Out.Body = io.NopCloser(bytes.NewReader(data))
	r.Out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// buffers are those through which bodies go.
type buffers struct{}

var spare = sync.Pool{New: func() any {
	buffer := make([]byte, pieces)
	return &buffer
}}

func (buffers) Get() []byte  { return *spare.Get().(*[]byte) }
func (buffers) Put(b []byte) { spare.Put(&b) }
