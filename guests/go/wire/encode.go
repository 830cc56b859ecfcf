package wire

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// A Field is one header or trailer field that is sent.
type Field struct{ Name, Value string }

// Append appends the encoding of a value: a string, an int, an int64, a bool, nil, a []any or a
// map[string]any, keys in order. It panics for any other type, which is a mistake of the caller.
func Append(dst []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendText(dst, v)
	case int:
		return appendInteger(dst, int64(v))
	case int64:
		return appendInteger(dst, v)
	case bool:
		if v {
			return append(dst, "4:true!"...)
		}
		return append(dst, "5:false!"...)
	case nil:
		return append(dst, "0:~"...)
	case []any:
		var payload []byte
		for _, each := range v {
			payload = Append(payload, each)
		}
		return appendElement(dst, payload, List)
	case map[string]any:
		var payload []byte
		for _, key := range slices.Sorted(maps.Keys(v)) {
			payload = appendText(payload, key)
			payload = Append(payload, v[key])
		}
		return appendElement(dst, payload, Dict)
	}
	panic(fmt.Sprintf("wire: no type of the wire: %T", value))
}

func appendElement[T string | []byte](dst []byte, payload T, tag Tag) []byte {
	dst = appendLength(dst, len(payload))
	dst = append(dst, payload...)
	return append(dst, byte(tag))
}

func appendLength(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 10), ':')
}

func appendText[T string | []byte](dst []byte, text T) []byte {
	return appendElement(dst, text, Bytes)
}

func appendInteger(dst []byte, n int64) []byte {
	var digits [20]byte
	return appendElement(dst, strconv.AppendInt(digits[:0], n, 10), Integer)
}

func digits(n int) int {
	size := 1
	for ; n >= 10; n /= 10 {
		size++
	}
	return size
}

// sizeOf is how many bytes an element takes whose payload has n.
func sizeOf(n int) int { return digits(n) + n + 2 }

func sizeOfInteger(n int64) int { return sizeOf(digits(int(n))) } // of one from 0 on

func payloadOfField(f Field) int { return sizeOf(len(f.Name)) + sizeOf(len(f.Value)) }

func payloadOfFields(fields []Field) int {
	size := 0
	for _, each := range fields {
		size += sizeOf(payloadOfField(each))
	}
	return size
}

func appendFields(dst []byte, fields []Field, payload int) []byte {
	dst = appendLength(dst, payload)
	for _, each := range fields {
		dst = appendLength(dst, payloadOfField(each))
		dst = appendText(dst, each.Name)
		dst = appendText(dst, each.Value)
		dst = append(dst, byte(List))
	}
	return append(dst, byte(List))
}
