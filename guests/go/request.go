package guest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"subproxy/guest/wire"
)

// blank is what each request begins as: a context can be given only to a copy.
var blank http.Request

// request makes the request of a message. It is not nil if there is an error.
func (e *exchange) request(message wire.Message) (*http.Request, error) {
	info, form := message.Parts[4], message.Parts[5]
	r := blank.WithContext(e.ctx)
	r.Method = message.Parts[1].Data
	r.RequestURI = message.Parts[2].Data
	r.Proto, r.ProtoMajor, r.ProtoMinor = protocolOf(info.Get("version").Text())
	r.Header = headerOf(message.Parts[3].Fields())
	if host := r.Header["Host"]; len(host) > 0 {
		r.Host = host[0]
		delete(r.Header, "Host")
	}
	if info.Get("expect").True() {
		r.Header["Expect"] = []string{"100-continue"}
	}
	if info.Get("trailers").True() {
		r.Header["Te"] = []string{"trailers"}
	}
	if client := info.Get("client").Text(); client != "" {
		r.RemoteAddr = net.JoinHostPort(client, "0")
	}
	if declared, is := r.Header["Trailer"]; is {
		delete(r.Header, "Trailer")
		r.Trailer = declaredTrailers(declared)
	}
	r.ContentLength = lengthOf(form, r.Header)
	r.Body = &e.body
	e.body.request = r
	if r.ContentLength == 0 {
		r.Body = http.NoBody
	}
	if e.asksTunnel() {
		// What follows is read by who hijacks the connection.
		upgradeFields(r.Header, info.Get("tunnel").Text())
		r.ContentLength, r.Body = 0, http.NoBody
	}
	if state := info.Get("tls"); state.Tag != 0 || info.Get("scheme").Text() == "https" {
		r.TLS = tlsOf(state)
	}
	var err error
	r.URL, err = url.ParseRequestURI(r.RequestURI)
	if err != nil {
		r.URL = &url.URL{Path: "/"}
	}
	return r, err
}

// usualFields is how many fields a browser's request has, with those that the proxy sets.
const usualFields = 20

// headerOf returns fields as net/http has them.
func headerOf(fields wire.Fields) http.Header {
	header := make(http.Header, usualFields)
	values := make([]string, usualFields)
	for name, value, ok := fields.Next(); ok; name, value, ok = fields.Next() {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if there := header[name]; there != nil {
			header[name] = append(there, value)
			continue
		}
		if len(values) == 0 {
			values = make([]string, usualFields)
		}
		values[0] = value
		header[name] = values[:1:1]
		values = values[1:]
	}
	return header
}

func protocolOf(version string) (string, int, int) {
	switch version {
	case "1.0":
		return "HTTP/1.0", 1, 0
	case "2":
		return "HTTP/2.0", 2, 0
	case "3":
		return "HTTP/3.0", 3, 0
	}
	return "HTTP/1.1", 1, 1
}

// lengthOf returns how long the body is; -1 if that is not known.
func lengthOf(form wire.Value, header http.Header) int64 {
	switch form.Tag {
	case wire.Bytes:
		return int64(len(form.Data))
	case wire.Dict:
		return form.Get("length").Int()
	}
	if said := header.Get("Content-Length"); said != "" {
		if length, err := strconv.ParseUint(said, 10, 63); err == nil && length > 0 {
			return int64(length)
		}
	}
	return -1
}

// declaredTrailers returns the names of a field Trailer, without values yet.
func declaredTrailers(declared []string) http.Header {
	trailer := http.Header{}
	for _, each := range declared {
		for name := range strings.SplitSeq(each, ",") {
			if name = http.CanonicalHeaderKey(textproto.TrimString(name)); name != "" {
				trailer[name] = nil
			}
		}
	}
	return trailer
}

// tlsOf returns what is known of the client's connection to the proxy.
func tlsOf(info wire.Value) *tls.ConnectionState {
	state := &tls.ConnectionState{
		HandshakeComplete:  true,
		ServerName:         info.Get("sni").Text(),
		NegotiatedProtocol: info.Get("alpn").Text(),
	}
	switch info.Get("version").Text() {
	case "1.2":
		state.Version = tls.VersionTLS12
	case "1.3":
		state.Version = tls.VersionTLS13
	}
	if data := info.Get("cert").Text(); data != "" {
		if certificate, err := x509.ParseCertificate([]byte(data)); err == nil {
			state.PeerCertificates = []*x509.Certificate{certificate}
			if info.Get("verified").True() {
				state.VerifiedChains = [][]*x509.Certificate{{certificate}}
			}
		}
	}
	return state
}
