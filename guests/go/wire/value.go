package wire

import (
	"errors"
	"fmt"
)

// ErrFrame is the error of bytes that are no frame; errors.Is finds it.
var ErrFrame = errors.New("no frame")

func noFrame(reason string) error { return fmt.Errorf("%w: %s", ErrFrame, reason) }

// A Tag is the last byte of an element: it says what its payload is.
type Tag byte

// The tags of docs/protocol.md, "Frames".
const (
	Bytes   Tag = ','
	Integer Tag = '#'
	Boolean Tag = '!'
	Null    Tag = '~'
	List    Tag = ']'
	Dict    Tag = '}'
)

// A Value is one element of a frame that was found valid, with all that is in it. It is read in
// place; a Value whose Tag is 0 is one that was not there.
type Value struct {
	Tag  Tag
	Data string
}

// Int returns the number of an integer, and 0 of anything else.
func (v Value) Int() int64 {
	if v.Tag != Integer {
		return 0
	}
	data, negative := v.Data, false
	if data[0] == '-' {
		data, negative = data[1:], true
	}
	var n int64
	for i := range len(data) {
		n = n*10 + int64(data[i]-'0')
	}
	if negative {
		return -n
	}
	return n
}

// True says whether the value is the boolean true.
func (v Value) True() bool { return v.Tag == Boolean && v.Data == "true" }

// Text returns the bytes of a byte string, and "" of anything else.
func (v Value) Text() string {
	if v.Tag != Bytes {
		return ""
	}
	return v.Data
}

// Items returns a cursor over the elements of a list, or the keys and values of a dictionary.
func (v Value) Items() Items {
	if v.Tag != List && v.Tag != Dict {
		return Items{}
	}
	return Items{v.Data}
}

// Get returns the value of a key of a dictionary; a Value whose Tag is 0 if it is not there.
func (v Value) Get(key string) Value {
	if v.Tag != Dict {
		return Value{}
	}
	items := Items{v.Data}
	for {
		name, ok := items.Next()
		if !ok {
			return Value{}
		}
		value, _ := items.Next()
		if name.Data == key {
			return value
		}
	}
}

// Items is a cursor over the elements of a list or dictionary that was found valid.
type Items struct{ rest string }

// Next returns the next element; false behind the last.
func (it *Items) Next() (Value, bool) {
	if it.rest == "" {
		return Value{}, false
	}
	size, i := 0, 0
	for ; it.rest[i] != ':'; i++ {
		size = size*10 + int(it.rest[i]-'0')
	}
	end := i + 1 + size
	value := Value{Tag(it.rest[end]), it.rest[i+1 : end]}
	it.rest = it.rest[end+1:]
	return value, true
}

// Fields is a section of header or trailer fields that was found valid.
type Fields struct{ items Items }

// Next returns the name and value of the next field; false behind the last.
func (f *Fields) Next() (name, value string, ok bool) {
	pair, ok := f.items.Next()
	if !ok {
		return "", "", false
	}
	both := pair.Items()
	first, _ := both.Next()
	second, _ := both.Next()
	return first.Data, second.Data, true
}

// length reads the length at the beginning of data. It returns how many bytes that takes with its
// colon; 0 if the colon is not here yet.
func length[T string | []byte](data T) (value, size int, err error) {
	for i := range len(data) {
		c := data[i]
		switch {
		case c == ':' && i > 0:
			return value, i + 1, nil
		case c < '0' || c > '9':
			return 0, 0, noFrame("a length is decimal digits and a colon")
		case i == maxDigits:
			return 0, 0, noFrame("a length has at most 7 digits")
		case i > 0 && data[0] == '0':
			return 0, 0, noFrame("a length has no leading zeros")
		}
		value = value*10 + int(c-'0')
	}
	return 0, 0, nil
}

// validate checks a value, with all that is in it; left is how many more elements its frame may
// have.
func validate(v Value, depth int, left *int) error {
	switch v.Tag {
	case Bytes:
		return nil
	case Integer:
		return validInteger(v.Data)
	case Boolean:
		if v.Data == "true" || v.Data == "false" {
			return nil
		}
		return noFrame("a boolean is true or false")
	case Null:
		if v.Data == "" {
			return nil
		}
		return noFrame("null is empty")
	case List, Dict:
	default:
		return noFrame("no value has that tag")
	}
	if depth > maxDepth {
		return noFrame("nested too deep")
	}
	rest, count := v.Data, 0
	for rest != "" {
		size, start, err := length(rest)
		if err != nil {
			return err
		}
		end := start + size
		if start == 0 || end >= len(rest) {
			return noFrame("an element is cut off")
		}
		if *left--; *left < 0 {
			return noFrame("more than 1,024 elements")
		}
		item := Value{Tag(rest[end]), rest[start:end]}
		if item.Tag != Bytes {
			if v.Tag == Dict && count%2 == 0 {
				return noFrame("a key is a byte string")
			}
			if err := validate(item, depth+1, left); err != nil {
				return err
			}
		}
		count++
		rest = rest[end+1:]
	}
	if v.Tag == Dict {
		return validKeys(v.Data, count)
	}
	return nil
}

// few is the number of keys up to which each is compared with each.
const few = 16

// validKeys checks that a dictionary of so many elements has values, and no key twice.
func validKeys(data string, count int) error {
	if count%2 != 0 {
		return noFrame("a key without a value")
	}
	var seen map[string]struct{}
	if count > 2*few {
		seen = make(map[string]struct{}, count/2)
	}
	var keys [few]string
	items := Items{data}
	for i := range count / 2 {
		key, _ := items.Next()
		items.Next()
		if seen != nil {
			if _, twice := seen[key.Data]; twice {
				return noFrame("a key that is there twice")
			}
			seen[key.Data] = struct{}{}
			continue
		}
		for _, other := range keys[:i] {
			if other == key.Data {
				return noFrame("a key that is there twice")
			}
		}
		keys[i] = key.Data
	}
	return nil
}

// validInteger checks that data is the one encoding of an integer within ±(2^53 − 1).
func validInteger(data string) error {
	digits := data
	if digits != "" && digits[0] == '-' {
		digits = digits[1:]
	}
	if digits == "" || len(digits) > 16 {
		return noFrame("an integer is at most 16 decimal digits")
	}
	var n int64
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return noFrame("an integer is decimal digits")
		}
		n = n*10 + int64(c-'0')
	}
	if n > maxInteger || (digits[0] == '0' && (len(digits) > 1 || len(data) > 1)) {
		return noFrame("an integer has one encoding, within ±(2^53 − 1)")
	}
	return nil
}

// Plain returns the value with all that is in it as Append takes it: a string, an int64, a bool,
// nil, a []any or a map[string]any.
func (v Value) Plain() any {
	switch v.Tag {
	case Bytes:
		return v.Data
	case Integer:
		return v.Int()
	case Boolean:
		return v.True()
	case List:
		list := []any{}
		items := v.Items()
		for each, ok := items.Next(); ok; each, ok = items.Next() {
			list = append(list, each.Plain())
		}
		return list
	case Dict:
		found := map[string]any{}
		items := v.Items()
		for key, ok := items.Next(); ok; key, ok = items.Next() {
			value, _ := items.Next()
			found[key.Data] = value.Plain()
		}
		return found
	}
	return nil
}

// Fields returns a cursor over a section of fields.
func (v Value) Fields() Fields { return Fields{v.Items()} }
