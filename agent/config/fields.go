package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"agentctl/handler/text"
)

// field is a key of a configuration file.
type field struct {
	name   string
	ptr    any  // to what it sets, or a fieldSet for an object
	secret bool // its value is not shown in errors
	unset  bool // that of [Setting]
	whole  bool // a number with a fraction is wrong
}

// fieldSet is what the keys of an object set.
type fieldSet []field

// addsUp tells whether a key that is given twice adds to what it gave before.
func (f field) addsUp() bool {
	switch f.ptr.(type) {
	case fieldSet, *[]TargetOptions, *[]string, *[]int, *map[string]string:
		return true
	}
	return false
}

// find looks a key up, without regard to case, as serf does.
func (fs fieldSet) find(name string) (field, bool) {
	i := slices.IndexFunc(fs, func(f field) bool { return strings.EqualFold(f.name, name) })
	if i < 0 {
		return field{}, false
	}
	return fs[i], true
}

// nearest suggests the key that a misspelt one was meant to be, as the end of a
// message; "" where none is near.
func (fs fieldSet) nearest(name string) string {
	return DidYouMean(name, fs.names())
}

func (fs fieldSet) names() (names []string) {
	for _, f := range fs {
		names = append(names, f.name)
		if inner, ok := f.ptr.(fieldSet); ok {
			for _, name := range inner.names() {
				names = append(names, f.name+"."+name)
			}
		}
	}
	return names
}

// fields are the keys of a whole file: those of the settings, where a key with
// a dot is inside an object.
func (o *Options) fields() fieldSet {
	var fs fieldSet
	for _, s := range settings {
		if s.Key == "" {
			continue
		}
		f := field{name: s.Key, ptr: s.pointer(o), secret: s.secret, unset: s.unset, whole: !o.AsSerf}
		object, key, nested := strings.Cut(s.Key, ".")
		if !nested {
			fs = append(fs, f)
			continue
		}
		f.name = key
		i := slices.IndexFunc(fs, func(f field) bool { return f.name == object })
		if i < 0 {
			i, fs = len(fs), append(fs, field{name: object, ptr: fieldSet{}})
		}
		fs[i].ptr = append(fs[i].ptr.(fieldSet), f)
	}
	return fs
}

// structFields are the keys of a struct's fields by their "config" tags, where
// ",secret" marks a value that is not to be shown.
func structFields(ptr any) fieldSet {
	var fs fieldSet
	v := reflect.ValueOf(ptr).Elem()
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("config"), ",")
		f := field{name: name, ptr: v.Field(i).Addr().Interface(), secret: option == "secret", whole: true}
		if v.Field(i).Kind() == reflect.Struct {
			f.ptr = structFields(f.ptr)
		}
		fs = append(fs, f)
	}
	return fs
}

// wrongEntry says which entry of a list or an object is not what is wanted, without its
// value, which may be a secret; nil if raw is no such list or object.
func wrongEntry(raw json.RawMessage, begin byte, want string) error {
	if raw[0] != begin {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.Token() // the bracket or brace
	for n := 1; dec.More(); n++ {
		which := fmt.Sprintf("entry %d", n)
		if begin == '{' {
			key, _ := dec.Token()
			which = fmt.Sprintf("the value of %q", text.Shorten(fmt.Sprint(key), 60))
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil
		}
		var number int
		switch isText := value[0] == '"'; {
		case string(value) == "null", want == "a text" && isText, want != "a text" && json.Unmarshal(value, &number) == nil:
		default:
			return fmt.Errorf("%s is %s, not %s", which, kind(value), want)
		}
	}
	return nil
}

// setJSON applies a value from a file.
func (f field) setJSON(raw json.RawMessage) error {
	wrong := func(want string) error {
		if f.secret {
			return fmt.Errorf("want %s, not %s", want, kind(raw))
		}
		var line bytes.Buffer    // the value may stand on several
		json.Compact(&line, raw) // it has been decoded once
		shown := text.Shorten(text.Redact(line.String()), 60)
		if _, list := f.ptr.(*[]string); list && raw[0] == '"' {
			return fmt.Errorf("%s is not %s: put it in brackets", shown, want)
		}
		return fmt.Errorf("%s is not %s", shown, want)
	}
	switch p := f.ptr.(type) {
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
	case **bool: // where not given is not false
		var v bool
		if json.Unmarshal(raw, &v) != nil {
			return wrong("true or false")
		}
		*p = &v
	case *int:
		// As serf reads it: 1e3 is a thousand, and of its own settings 4.9 is 4. It reads
		// a number that no int has as some other.
		var v float64
		if json.Unmarshal(raw, &v) != nil || math.Abs(v) >= 1<<53 || f.whole && v != math.Trunc(v) {
			return wrong("a whole number")
		}
		if n := int(v); n > 0 || n < 0 && !f.unset {
			*p = n
		}
	case *time.Duration:
		var v string
		if json.Unmarshal(raw, &v) != nil {
			return wrong("a duration such as 30s or 5m")
		}
		if v == "" {
			return nil
		}
		d, err := time.ParseDuration(v)
		if err != nil {
			return wrong("a duration such as 30s or 5m")
		}
		if d != 0 || !f.unset {
			*p = d
		}
	case *[]string:
		var v []string
		if json.Unmarshal(raw, &v) != nil {
			return cmp.Or(wrongEntry(raw, '[', "a text"), wrong("a list of texts"))
		}
		*p = append(*p, v...)
	case *[]int:
		var v []int
		if json.Unmarshal(raw, &v) != nil {
			return cmp.Or(wrongEntry(raw, '[', "a whole number"), wrong("a list of whole numbers"))
		}
		*p = append(*p, v...)
	case *map[string]string:
		var v map[string]string
		if json.Unmarshal(raw, &v) != nil {
			return cmp.Or(wrongEntry(raw, '{', "a text"), wrong("an object of texts"))
		}
		if *p == nil {
			*p = map[string]string{}
		}
		maps.Copy(*p, v)
	default:
		panic(fmt.Sprintf("key %s sets a %T", f.name, p))
	}
	return nil
}
