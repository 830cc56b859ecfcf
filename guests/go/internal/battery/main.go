// Battery is the application of tests/integration/test_go_guest.py: it can be asked to do all that
// bodies and responses can do.
//
//	battery PROXY [NAME]
//	battery --listen ADDRESS    as a server of its own, for a sidecar
//
// With CERTIFICATE in its environment, a file with its key, it holds its own keys for keys.example.
// With PROFILE in its environment it writes a profile of its CPU there.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha3"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"subproxy/guest"
)

// block is what bodies are made of: that of tests/integration/bodies_app.py.
var block = sha3.SumSHAKE256([]byte("bodies"), 1<<20)

func content(size int) io.Reader {
	var parts []io.Reader
	for ; size > 0; size -= len(block) {
		parts = append(parts, bytes.NewReader(block[:min(size, len(block))]))
	}
	return io.MultiReader(parts...)
}

// pieces writes so many bytes without a hint of a reader behind them.
func pieces(w io.Writer, size int) {
	reader := content(size)
	buffer := make([]byte, 50_000)
	for {
		n, err := reader.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func length(w http.ResponseWriter, size int) {
	w.Header().Set("Content-Length", strconv.Itoa(size))
}

func file(w http.ResponseWriter, r *http.Request, size int) {
	name := fmt.Sprintf("file-%d", size)
	if _, err := os.Stat(name); err != nil {
		created, err := os.CreateTemp(".", "new-")
		if err == nil {
			_, err = io.Copy(created, content(size))
		}
		if err != nil {
			panic(err)
		}
		created.Close()
		os.Rename(created.Name(), name)
	}
	w.Header().Set("Etag", `"`+name+`"`)
	http.ServeFile(w, r, name)
}

// process tells who this process is, and where.
func process(w io.Writer) {
	groups, _ := os.Getgroups()
	folder, _ := os.Getwd()
	name, _ := os.Hostname()
	var resolved string
	if addresses, _ := net.LookupHost(name); len(addresses) > 0 {
		resolved = addresses[0]
	}
	fmt.Fprintf(w, "%d:%d %v in %s, home %s, host %s is %s\n", os.Getuid(), os.Getgid(), groups, folder,
		os.Getenv("HOME"), name, resolved)
	if file, err := os.OpenFile("/dev/stderr", os.O_WRONLY, 0); err == nil {
		fmt.Fprintln(file, "battery: written to /dev/stderr")
		file.Close()
	} else {
		fmt.Fprintln(w, err)
	}
}

// listing tells what a folder holds, a line each.
func listing(w io.Writer, folder string) {
	filepath.Walk(folder, func(path string, found os.FileInfo, err error) error {
		if err != nil {
			fmt.Fprintln(w, err)
			return nil
		}
		stat := found.Sys().(*syscall.Stat_t)
		target, _ := os.Readlink(path)
		fmt.Fprintf(w, "%s %o %d:%d %d %d %s\n", path, stat.Mode, stat.Uid, stat.Gid, stat.Nlink,
			found.ModTime().Unix(), target)
		return nil
	})
}

// orphan starts this program twice, one below the other, and lets the upper end first: the lower
// comes to process 1. It tells whether a zombie is left of that.
func orphan(w io.Writer) {
	exec.Command("/proc/self/exe", "--orphan", "again").Run()
	time.Sleep(500 * time.Millisecond)
	states, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, each := range states {
		if data, _ := os.ReadFile(each); bytes.Contains(data, []byte(") Z ")) {
			fmt.Fprintf(w, "%s", data)
			return
		}
	}
	io.WriteString(w, "no zombies")
}

// upgrade is an echo over whatever protocol was asked for, or refuses it.
func upgrade(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/no") {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fmt.Fprint(w, err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Protocol: echo\r\n\r\nwelcome\n", r.Header.Get("Upgrade"))
	buffered.Flush()
	io.Copy(conn, buffered)
	fmt.Println("the tunnel is over")
}

func serve(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	size := 0
	if len(parts) > 2 {
		size, _ = strconv.Atoi(parts[2])
	}
	control := http.NewResponseController(w)
	switch parts[1] {
	case "file":
		file(w, r, size)
	case "bytes":
		data, _ := io.ReadAll(content(size))
		w.Write(data)
	case "pieces":
		length(w, size)
		pieces(w, size)
	case "stream":
		guest.Long(w)
		pieces(w, size)
	case "frames":
		pieces(w, size)
	case "short":
		length(w, size)
		pieces(w, size/2)
	case "digest":
		digest := sha256.New()
		n, err := io.Copy(digest, r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%x %d", digest.Sum(nil), n)
	case "echo":
		io.Copy(w, r.Body)
		for name, values := range r.Trailer {
			w.Header()[http.TrailerPrefix+name] = values
		}
	case "early":
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "early")
	case "slowly": // a piece each 50 ms
		for i := range 5 {
			fmt.Fprintf(w, "%d\n", i)
			control.Flush()
			time.Sleep(50 * time.Millisecond)
		}
	case "sleep": // so many milliseconds
		time.Sleep(time.Duration(size) * time.Millisecond)
		fmt.Fprintf(w, "slept %d", size)
	case "wait":
		fmt.Println("waiting")
		<-r.Context().Done()
		var aborted *guest.AbortError
		errors.As(context.Cause(r.Context()), &aborted)
		if aborted != nil {
			fmt.Println("done:", aborted.Code)
		} else {
			fmt.Println("done:", context.Cause(r.Context()))
		}
	case "panic":
		panic("on purpose")
	case "break":
		io.WriteString(w, "half")
		control.Flush()
		panic(http.ErrAbortHandler)
	case "told":
		fmt.Fprintln(w, r.Proto, r.Host, r.RemoteAddr, r.TLS != nil, r.Header.Get("X-Forwarded-For"))
	case "hello":
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello, World!")
	case "environment":
		io.WriteString(w, os.Getenv(parts[2]))
	case "orphan":
		orphan(w)
	case "upgrade":
		upgrade(w, r)
	case "process":
		process(w)
	case "listing":
		listing(w, "/"+strings.Join(parts[2:], "/"))
	case "pid":
		fmt.Fprint(w, os.Getpid())
	default:
		io.WriteString(w, "small")
	}
}

func main() {
	if name := os.Getenv("PROFILE"); name != "" {
		profile, err := os.Create(name)
		if err != nil {
			log.Fatal(err)
		}
		pprof.StartCPUProfile(profile)
		defer pprof.StopCPUProfile()
	}
	if len(os.Args) == 3 && os.Args[1] == "--listen" {
		log.Fatal(http.ListenAndServe(os.Args[2], http.HandlerFunc(serve)))
	}
	if len(os.Args) > 2 && os.Args[1] == "--orphan" {
		if os.Args[2] == "again" {
			exec.Command("/proc/self/exe", "--orphan", "last").Start()
		} else {
			time.Sleep(100 * time.Millisecond)
		}
		return
	}
	name := "battery"
	if len(os.Args) > 2 {
		name = os.Args[2]
	}
	subscriber := &guest.Subscriber{
		Application: name,
		Routes:      []guest.Route{{Host: `(blog|bench)\.example`}},
		Proxy:       os.Args[1],
		Handler:     http.HandlerFunc(serve),
		Registered:  func(route guest.Route) { fmt.Println("registered", route) },
	}
	if file := os.Getenv("CERTIFICATE"); file != "" {
		listener := guest.NewListener()
		subscriber.Routes = []guest.Route{{Host: `keys\.example`, Passthrough: true}}
		subscriber.Passthrough = listener
		go func() { log.Fatal(http.ServeTLS(listener, http.HandlerFunc(serve), file, file)) }()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := subscriber.Run(ctx); err != nil {
		log.Print(err)
		os.Exit(4)
	}
}
