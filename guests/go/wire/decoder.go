package wire

// A Decoder cuts a stream of bytes into frames.
type Decoder struct {
	// Limit is the longest payload that is taken, in bytes.
	Limit int

	data  []byte
	start int // of what is not decoded yet
}

// minRead is the least room that Buffer gives, in bytes.
const minRead = 4096

// Buffer returns free space behind what was fed, for the next read. It is never sized by what a
// length claims: it doubles as bytes come.
func (d *Decoder) Buffer() []byte {
	if d.start > 0 {
		n := copy(d.data, d.data[d.start:])
		d.data, d.start = d.data[:n], 0
	}
	if cap(d.data)-len(d.data) < minRead {
		grown := make([]byte, len(d.data), max(2*cap(d.data), 4*minRead))
		copy(grown, d.data)
		d.data = grown
	}
	return d.data[len(d.data):cap(d.data)]
}

// Filled says that so many bytes were read into what Buffer returned.
func (d *Decoder) Filled(n int) { d.data = d.data[:len(d.data)+n] }

// Feed adds bytes that came.
func (d *Decoder) Feed(data []byte) {
	for len(data) > 0 {
		n := copy(d.Buffer(), data)
		d.Filled(n)
		data = data[n:]
	}
}

// Next returns the next frame, a list that is valid at every depth; false if more bytes are
// needed.
func (d *Decoder) Next() (Value, bool, error) {
	data := d.data[d.start:]
	size, start, err := length(data)
	if err != nil || start == 0 {
		return Value{}, false, err
	}
	if size > d.Limit {
		return Value{}, false, noFrame("longer than is taken")
	}
	end := start + size
	if len(data) <= end {
		return Value{}, false, nil
	}
	if Tag(data[end]) != List {
		return Value{}, false, noFrame("a frame is a list")
	}
	frame := Value{List, string(data[start:end])}
	left := maxElements
	if err := validate(frame, 1, &left); err != nil {
		return Value{}, false, err
	}
	d.start += end + 1
	return frame, true, nil
}

// Rest returns the bytes behind the last frame, and forgets them.
func (d *Decoder) Rest() []byte {
	rest := d.data[d.start:]
	d.data, d.start = nil, 0
	return rest
}
