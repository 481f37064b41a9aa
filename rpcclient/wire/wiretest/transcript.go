// Package wiretest loads and writes recorded conversations of serf's RPC
// protocol, for tests.
//
// A transcript is a text file with one msgpack value on each line, in the order in
// which the values crossed the wire:
//
//	@agent v0.11.0
//	> 82a7436f6d6d616e64a968616e647368616b65a353657101  # {"Command":"handshake","Seq":1}
//	> 81a756657273696f6e01                              # {"Version":1}
//	< 82a353657101a54572726f72a0                        # {"Error":"","Seq":1}
//
// Lines with ">" are the client's, lines with "<" the agent's, in hex. The text
// after " # " is for the reader, and [Load] ignores it. Lines with "@" in front give
// a fact by name. Lines with "#" in front are comments.
package wiretest

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// Transcript is one conversation on one connection.
type Transcript struct {
	// Facts are the "@name text" lines. Known names: agent (the release of
	// stock serf), about (what is to be seen), auth-key, encrypt (the gossip
	// key, where the agent has one), tags (of the agent, as -tag takes them).
	Facts  map[string]string
	Values []Value
}

// Value is one msgpack value of a transcript: a header or a body.
type Value struct {
	FromClient bool
	Data       []byte
	Line       int // in the file, from 1
}

// Load reads the transcript at path. Errors name the file and the line.
func Load(path string) (Transcript, error) {
	f, err := os.Open(path)
	if err != nil {
		return Transcript{}, err
	}
	defer f.Close()
	t := Transcript{Facts: map[string]string{}}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		text, _, _ := strings.Cut(line[1:], " # ")
		text = strings.TrimSpace(text)
		switch line[0] {
		case '@':
			name, fact, _ := strings.Cut(text, " ")
			t.Facts[name] = fact
		case '>', '<':
			data, err := hex.DecodeString(text)
			if err != nil || len(data) == 0 {
				return Transcript{}, fmt.Errorf("%s:%d: not a value in hex: %q", path, n, text)
			}
			t.Values = append(t.Values, Value{FromClient: line[0] == '>', Data: data, Line: n})
		default:
			return Transcript{}, fmt.Errorf("%s:%d: a line begins with >, <, @ or #, not with %q", path, n, line[0])
		}
	}
	if err := sc.Err(); err != nil {
		return Transcript{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Write writes t in the form that [Load] reads.
func (t Transcript) Write(w io.Writer) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Facts)) {
		fmt.Fprintf(&b, "@%s %s\n", name, t.Facts[name])
	}
	for _, v := range t.Values {
		side := "<"
		if v.FromClient {
			side = ">"
		}
		fmt.Fprintf(&b, "%s %x  # %s\n", side, v.Data, Render(v.Data))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Render returns a msgpack value as JSON with sorted keys, on one line. Bytes
// that are not text come out as base64.
func Render(data []byte) string {
	var v any
	if err := codec.NewDecoderBytes(data, &codec.MsgpackHandle{WriteExt: true}).Decode(&v); err != nil {
		return "not msgpack: " + err.Error()
	}
	out, err := json.Marshal(plain(v))
	if err != nil {
		return "not for JSON: " + err.Error()
	}
	return string(out)
}

// plain turns what the codec decodes into what encoding/json takes.
func plain(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(plain(k))] = plain(e)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
	}
	return v
}
