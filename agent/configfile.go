package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxConfigSize bounds a configuration file, in bytes.
const maxConfigSize = 1 << 20

// ReadConfig applies the named configuration files to o, in order. Of a
// folder it takes every file that ends in .json, in alphabetical order, as
// serf does. Lists of handlers and addresses grow from file to file and tags
// are merged; anything else is replaced, except that an empty text and a zero
// count as not given. The error names everything that is wrong, each with the
// file, the line and the key.
func (o *Options) ReadConfig(paths ...string) error {
	var errs []error
	for _, path := range paths {
		files, err := configFiles(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, file := range files {
			data, err := readLimited(file)
			if err != nil {
				errs = append(errs, fmt.Errorf("config file: %w", err))
				continue
			}
			errs = append(errs, o.decodeConfig(file, data)...)
		}
	}
	return errors.Join(errs...)
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

func readLimited(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err == nil && len(data) > maxConfigSize {
		err = fmt.Errorf("%s: larger than %d bytes", file, maxConfigSize)
	}
	return data, err
}

// configReader walks through one file's JSON and knows where it is.
type configReader struct {
	file string
	data []byte
	dec  *json.Decoder
	errs []error
}

// decodeConfig applies one file's contents; file is for messages.
func (o *Options) decodeConfig(file string, data []byte) []error {
	r := &configReader{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	if r.object("", o) {
		if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
			r.bad(r.dec.InputOffset(), "something follows the object")
		}
	}
	return r.errs
}

// bad records a problem at an offset of the file.
func (r *configReader) bad(offset int64, format string, args ...any) {
	offset = min(offset, int64(len(r.data)))
	line := 1 + bytes.Count(r.data[:offset], []byte("\n"))
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, line, fmt.Sprintf(format, args...)))
}

// syntax records a JSON error where it is.
func (r *configReader) syntax(err error) {
	offset := r.dec.InputOffset()
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = se.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, err = int64(len(r.data)), errors.New("the file ends too early")
	}
	r.bad(offset, "%v", err)
}

// object applies the keys of one JSON object; prefix is that of keys inside
// another. It reports whether the JSON could be read to the object's end.
func (r *configReader) object(prefix string, o *Options) bool {
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
		key, at := prefix+tok.(string), r.dec.InputOffset()
		mdns := strings.EqualFold(key, "mdns")
		if mdns && r.peek() == '{' {
			if !r.object("mdns.", o) {
				return false
			}
			continue
		}
		var value json.RawMessage
		if err := r.dec.Decode(&value); err != nil {
			r.syntax(err)
			return false
		}
		if mdns {
			if string(value) != "null" {
				r.bad(at, "%s: want a JSON object", key)
			}
			continue
		}
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key != "" && strings.EqualFold(s.Key, key) })
		if i < 0 {
			r.bad(at, "unknown key %q%s", shorten(key, 80), nearestKey(key))
			continue
		}
		if err := settings[i].setJSON(o, value); err != nil {
			r.bad(at, "%s: %v", key, err)
		}
	}
	_, err = r.dec.Token() // the closing brace
	if err != nil {
		r.syntax(err)
	}
	return err == nil
}

// peek returns the first byte of the value that comes next, or 0.
func (r *configReader) peek() byte {
	rest := bytes.TrimLeft(r.data[r.dec.InputOffset():], " \t\r\n:")
	if len(rest) == 0 {
		return 0
	}
	return rest[0]
}

// setJSON applies a value from a file.
func (s Setting) setJSON(o *Options, raw json.RawMessage) error {
	wrong := func(want string) error {
		if s.Secret {
			return fmt.Errorf("want %s", want)
		}
		var line bytes.Buffer    // the value may stand on several
		json.Compact(&line, raw) // it has been decoded once
		return fmt.Errorf("%s is not %s", shorten(redact(line.String()), 60), want)
	}
	switch p := s.pointer(o).(type) {
	case *string:
		var v string
		if json.Unmarshal(raw, &v) != nil {
			return wrong("a text")
		}
		if v != "" {
			*p = v
		}
	case *bool:
		if json.Unmarshal(raw, p) != nil {
			return wrong("true or false")
		}
	case *int:
		var v int
		if json.Unmarshal(raw, &v) != nil {
			return wrong("a whole number")
		}
		if v != 0 {
			*p = v
		}
	case *time.Duration:
		var v string
		if json.Unmarshal(raw, &v) != nil {
			return wrong(`a duration such as "30s"`)
		}
		if v != "" {
			return s.Set(o, v)
		}
	case *[]string:
		var v []string
		if json.Unmarshal(raw, &v) != nil {
			return wrong("a list of texts")
		}
		*p = append(*p, v...)
	case *map[string]string:
		var v map[string]string
		if json.Unmarshal(raw, &v) != nil {
			return wrong("an object of texts")
		}
		if *p == nil {
			*p = map[string]string{}
		}
		maps.Copy(*p, v)
	default:
		panic(fmt.Sprintf("setting %s has a field of type %T", s.Key, p))
	}
	return nil
}
