package handler

import (
	"fmt"
	"strings"
)

// anyType is the type of a Filter that matches every event.
const anyType Type = "*"

// Filter picks events by type, and user events and queries by name too.
type Filter struct {
	Type Type   // "*" matches every type
	Name string // only with User and Query; "" matches every name
}

// match tells whether an event of a type and name passes.
func (f Filter) match(typ Type, name string) bool {
	if f.Type == anyType {
		return true
	}
	if f.Type != typ {
		return false
	}
	return f.Name == "" || f.Name == name || typ != User && typ != Query
}

// String writes the filter in serf's grammar.
func (f Filter) String() string {
	if f.Name != "" && (f.Type == User || f.Type == Query) {
		return string(f.Type) + ":" + f.Name
	}
	return string(f.Type)
}

// Filters let an event pass if one of them does. Without any filter every event passes,
// as with an empty filter of serf.
type Filters []Filter

// ParseFilters reads serf's grammar: types with commas between them. "user:NAME" and
// "query:NAME" pick a name, and "*" or an empty text picks every event. As in serf,
// blanks have no special meaning, so they are not allowed. The error names the part at
// fault, and the valid ones.
func ParseFilters(s string) (Filters, error) {
	if s == "" {
		s = string(anyType)
	}
	var fs Filters
	for part := range strings.SplitSeq(s, ",") {
		f := Filter{Type: Type(part)}
		if typ, name, ok := strings.Cut(part, ":"); ok && (typ == string(User) || typ == string(Query)) {
			f = Filter{Type: Type(typ), Name: name}
		}
		if f.Type != anyType && !f.Type.Valid() {
			return nil, &filterError{part: part}
		}
		fs = append(fs, f)
	}
	return fs, nil
}

// filterError is a part of a filter that is no type of event.
type filterError struct {
	part string // the part at fault
}

func (e *filterError) Error() string {
	valid := make([]string, len(types))
	for i, t := range types {
		valid[i] = string(t)
	}
	return fmt.Sprintf("unknown event type %q; use %s, user:NAME, query:NAME or *, with commas and no blanks between them",
		e.part, strings.Join(valid, ", "))
}

// Match tells whether an event of a type and name passes.
func (fs Filters) Match(typ Type, name string) bool {
	for _, f := range fs {
		if f.match(typ, name) {
			return true
		}
	}
	return len(fs) == 0
}

// String writes the filters in serf's grammar. ParseFilters reads it back.
func (fs Filters) String() string {
	if len(fs) == 0 {
		return string(anyType)
	}
	parts := make([]string, len(fs))
	for i, f := range fs {
		parts[i] = f.String()
	}
	return strings.Join(parts, ",")
}
