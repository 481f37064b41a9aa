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
	"unicode/utf8"

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
			problems, warnings := decodeFile(&c.opts, c.locations, name, data)
			c.problem(problems...)
			for _, w := range warnings {
				if !c.opts.AsSerf { // serf warns of none
					c.warn(w, "")
				}
			}
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
	warnings  []string
}

// decodeFile applies one file's contents; file is its name for messages. The
// errors name everything that is wrong, each with the file, the line and the key. The
// warnings name what JSON readers take, and no person means.
func decodeFile(o *Options, l locations, file string, data []byte) (errs []error, warnings []string) {
	r := &fileReader{locations: l, file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	read := func() bool { return r.object("", "", o.fields()) }
	if r.peek() == 'n' { // null sets nothing, as with serf
		read = func() bool { return r.nested('{', "a JSON object", file, nil) }
	}
	if read() {
		if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
			r.syntax(errors.New("something follows the object"))
		}
	}
	for at := 0; at < len(data) && len(r.errs) == 0; {
		c, size := utf8.DecodeRune(data[at:])
		if c == utf8.RuneError && size == 1 {
			r.warn(int64(at), "this is no UTF-8, and is read as �: save the file as UTF-8")
			break
		}
		at += size
	}
	return r.errs, r.warnings
}

// warn records a warning of what is at an offset of the file.
func (r *fileReader) warn(offset int64, format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf("%s: %s", r.location(offset), fmt.Sprintf(format, args...)))
}

// bad records a problem at an offset of the file.
func (r *fileReader) bad(offset int64, format string, args ...any) {
	offset = min(offset, int64(len(r.data)))
	r.errs = append(r.errs, fmt.Errorf("%s: %s", r.location(offset), fmt.Sprintf(format, args...)))
}

// location is an offset as file:line:column.
func (r *fileReader) location(offset int64) string {
	line, column := lineAndColumn(r.data, int(offset))
	return fmt.Sprintf("%s:%d:%d", r.file, line, column)
}

// syntax records what makes the file no JSON, where it is. The decoder's own error is
// only for the case that it is stricter.
func (r *fileReader) syntax(err error) {
	if m := findMistake(r.data); m != nil {
		r.bad(int64(m.at), "%s", m.what)
		return
	}
	r.bad(r.dec.InputOffset(), "%v", err)
}

// next is the offset of the value or key that comes next.
func (r *fileReader) next() int64 { return r.dec.InputOffset() + int64(r.blank()) }

// object applies the keys of one JSON object; path is what stands before them in
// locations, and prefix the same as the file spells it. A key that begins with // is
// a comment. It reports whether the JSON could be read to the object's end.
func (r *fileReader) object(path, prefix string, fields fieldSet) bool {
	at := r.next()
	tok, err := r.dec.Token()
	if err != nil {
		r.syntax(err)
		return false
	}
	if tok != json.Delim('{') {
		label := ""
		if prefix != "" {
			label = strings.TrimSuffix(prefix, ".") + ": "
		}
		r.bad(at, "%swant a JSON object, not %s", label, kind(r.data[at:]))
		return false
	}
	lines := map[string]int{} // of the keys so far
	for r.dec.More() {
		at := r.next()
		tok, err := r.dec.Token()
		if err != nil {
			r.syntax(err)
			return false
		}
		name, valueAt := tok.(string), r.next()
		f, known := fields.find(name)
		if known {
			r.locations.noteFile(path+f.name, r.location(at), prefix+name)
			if line, twice := lines[f.name]; twice && !f.addsUp() {
				r.warn(at, "%s: this counts, not the same key in line %d: remove one of them", prefix+name, line)
			}
			lines[f.name], _ = lineAndColumn(r.data, int(at))
		}
		var ok bool
		switch p := f.ptr.(type) {
		case fieldSet:
			ok = r.nested('{', "a JSON object", prefix+name, func() bool { return r.object(path+f.name+".", prefix+name+".", p) })
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
					r.bad(valueAt, "%s: %v", prefix+name, err)
				} else if f.name == "event_handlers" {
					r.noteHandlers(value, r.location(at), name)
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
	at := r.next()
	if r.peek() == begin {
		return read()
	}
	var value json.RawMessage
	if err := r.dec.Decode(&value); err != nil {
		r.syntax(err)
		return false
	}
	if string(value) != "null" {
		r.bad(at, "%s: want %s, not %s", key, want, kind(value))
	}
	return true
}

// targets reads a list of targets and adds them to out.
func (r *fileReader) targets(key string, out *[]TargetOptions) bool {
	r.dec.Token()                   // the opening bracket, which nested has seen
	for n := 0; r.dec.More(); n++ { // a message counts those of this file
		*out = append(*out, TargetOptions{})
		t := &(*out)[len(*out)-1]
		path, name := targetKey(len(*out)-1), fmt.Sprintf("%s[%d]", key, n)
		r.locations.noteFile(path, r.location(r.next()), name)
		if r.peek() != '{' { // so it sets nothing, and is no target that lacks a URL
			*out = (*out)[:len(*out)-1]
		}
		if !r.object(path+".", name+".", structFields(t)) {
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
func (r *fileReader) noteHandlers(list json.RawMessage, where, name string) {
	var specs []string
	if json.Unmarshal(list, &specs) == nil { // it was read once
		for _, spec := range specs {
			r.locations.noteFile("event_handlers="+spec, where, name)
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
