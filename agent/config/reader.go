package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentctl/handler/text"
)

// maxConfigSize bounds a configuration file, in bytes.
const maxConfigSize = 1 << 20

// readConfig applies the named configuration files, in order. Of a folder it
// takes every file that ends in .json, in alphabetical order, as serf does. Lists
// of handlers and addresses grow from file to file and tags are merged; anything
// else is replaced, except that an empty text and a zero count as not given.
func (c *compiler) readConfig(paths []string) {
	for _, path := range paths {
		names, err := configFiles(path)
		if err != nil {
			c.problem(err)
			continue
		}
		for _, name := range names {
			data, err := c.files.read(name, maxConfigSize)
			if err != nil {
				c.problem(fmt.Errorf("config file: %w", err))
				continue
			}
			c.problem(decodeFile(&c.opts, c.locations, name, data)...)
		}
	}
}

func configFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("config folder: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return e.IsDir() || !strings.HasSuffix(e.Name(), ".json")
	})
	var files []string
	for _, e := range entries {
		files = append(files, filepath.Join(path, e.Name()))
	}
	return files, nil
}

// fileReader walks through one file's JSON and knows where it is.
type fileReader struct {
	locations locations // where it notes each key
	file      string
	data      []byte
	dec       *json.Decoder
	errs      []error
}

// decodeFile applies one file's contents; file is its name for messages. The
// errors name everything that is wrong, each with the file, the line and the key.
func decodeFile(o *Options, l locations, file string, data []byte) []error {
	r := &fileReader{locations: l, file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	read := func() bool { return r.object("", o.fields()) }
	if r.peek() == 'n' { // null sets nothing, as with serf
		read = func() bool { return r.nested('{', "a JSON object", file, nil) }
	}
	if read() {
		if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
			r.bad(r.dec.InputOffset(), "something follows the object")
		}
	}
	return r.errs
}

// bad records a problem at an offset of the file.
func (r *fileReader) bad(offset int64, format string, args ...any) {
	offset = min(offset, int64(len(r.data)))
	r.errs = append(r.errs, fmt.Errorf("%s: %s", r.location(offset), fmt.Sprintf(format, args...)))
}

// location is an offset as file:line.
func (r *fileReader) location(offset int64) string {
	return fmt.Sprintf("%s:%d", r.file, 1+bytes.Count(r.data[:offset], []byte("\n")))
}

// syntax records a JSON error where it is.
func (r *fileReader) syntax(err error) {
	offset := r.dec.InputOffset()
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = se.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, err = int64(len(r.data)), errors.New("the file ends too early")
	}
	r.bad(offset, "%v", err)
}

// object applies the keys of one JSON object; prefix is that of its keys. A key
// that begins with // is a comment. It reports whether the JSON could be read to
// the object's end.
func (r *fileReader) object(prefix string, fields fieldSet) bool {
	tok, err := r.dec.Token()
	if err != nil {
		r.syntax(err)
		return false
	}
	if tok != json.Delim('{') {
		r.bad(r.dec.InputOffset(), "want a JSON object")
		return false
	}
	for r.dec.More() {
		tok, err := r.dec.Token()
		if err != nil {
			r.syntax(err)
			return false
		}
		name, at := tok.(string), r.dec.InputOffset()
		f, known := fields.find(name)
		if known {
			r.locations.note(prefix+f.name, r.location(at))
		}
		var ok bool
		switch p := f.ptr.(type) {
		case fieldSet:
			ok = r.nested('{', "a JSON object", prefix+name, func() bool { return r.object(prefix+name+".", p) })
		case *[]TargetOptions:
			ok = r.nested('[', "a list of JSON objects", prefix+name, func() bool { return r.targets(prefix+name, p) })
		default:
			var value json.RawMessage
			if err := r.dec.Decode(&value); err != nil {
				r.syntax(err)
				return false
			}
			ok = true
			if !known && !strings.HasPrefix(name, "//") {
				r.bad(at, "unknown key %q%s", text.Shorten(prefix+name, 80), fields.nearest(name))
			} else if known {
				if err := f.setJSON(value); err != nil {
					r.bad(at, "%s: %v", prefix+name, err)
				} else if f.name == "event_handlers" {
					r.noteHandlers(value, r.location(at))
				}
			}
		}
		if !ok {
			return false
		}
	}
	_, err = r.dec.Token() // the closing brace
	if err != nil {
		r.syntax(err)
	}
	return err == nil
}

// nested reads a value that has to begin with a certain byte, or be null.
func (r *fileReader) nested(begin byte, want, key string, read func() bool) bool {
	at := r.dec.InputOffset()
	if r.peek() == begin {
		return read()
	}
	var value json.RawMessage
	if err := r.dec.Decode(&value); err != nil {
		r.syntax(err)
		return false
	}
	if string(value) != "null" {
		r.bad(at, "%s: want %s", key, want)
	}
	return true
}

// targets reads a list of targets and adds them to out.
func (r *fileReader) targets(key string, out *[]TargetOptions) bool {
	r.dec.Token() // the opening bracket, which nested has seen
	for r.dec.More() {
		*out = append(*out, TargetOptions{})
		t := &(*out)[len(*out)-1]
		name := fmt.Sprintf("%s[%d]", key, len(*out)-1)
		r.locations.note(name, r.location(r.dec.InputOffset()+int64(r.blank())))
		if !r.object(name+".", structFields(t)) {
			return false
		}
	}
	_, err := r.dec.Token() // the closing bracket
	if err != nil {
		r.syntax(err)
	}
	return err == nil
}

// noteHandlers notes where each event handler of a list stands.
func (r *fileReader) noteHandlers(list json.RawMessage, where string) {
	var specs []string
	if json.Unmarshal(list, &specs) == nil { // it was read once
		for _, spec := range specs {
			r.locations.note("event_handlers="+spec, where)
		}
	}
}

// blank is how many bytes come before the next value.
func (r *fileReader) blank() int {
	rest := r.data[r.dec.InputOffset():]
	return len(rest) - len(bytes.TrimLeft(rest, " \t\r\n:,"))
}

// peek returns the first byte of the value that comes next, or 0.
func (r *fileReader) peek() byte {
	if rest := r.data[int(r.dec.InputOffset())+r.blank():]; len(rest) > 0 {
		return rest[0]
	}
	return 0
}
