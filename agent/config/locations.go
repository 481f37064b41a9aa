package config

import (
	"errors"
	"fmt"
	"strings"

	"agentctl/handler/target"
)

// locations tells where settings were given, for messages: "file:line" of a key
// in a configuration file, the name of a flag, or that of a variable. The keys
// are those of configuration files, in lower case. A target's keys look like
// "targets[0].url"; an event handler's is "event_handlers=" and its text.
type locations map[string]string

// note records where the setting of a key was given last.
func (l locations) note(key, where string) { l[strings.ToLower(key)] = where }

// label is how a message calls a setting: by the name it was given by, with its
// location in a file.
func (l locations) label(name string) string {
	for _, s := range settings {
		if s.Flag != name && s.Key != name {
			continue
		}
		where := l[strings.ToLower(s.Key)]
		switch {
		case where == "":
		case where == s.name(), where == s.Env():
			return where
		default:
			return where + ": " + s.Key
		}
	}
	return name
}

// at puts the location of the first key that has one before a label.
func (l locations) at(label string, keys ...string) string {
	for _, key := range keys {
		if where := l[strings.ToLower(key)]; where != "" {
			return where + ": " + label
		}
	}
	return label
}

// targetError says of which target an error, or each of several joined ones, is.
func (l locations) targetError(i int, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, l.targetError(i, e))
		}
		return errors.Join(errs...)
	}
	label := fmt.Sprintf("targets[%d]", i)
	if terr, ok := errors.AsType[*target.Error](err); ok {
		err = terr.Err // the label says which it is
	}
	key, rest, _ := strings.Cut(strings.ReplaceAll(err.Error(), " ", "_"), ":_")
	inner, _, _ := strings.Cut(rest, ":_")
	return fmt.Errorf("%s: %w", l.at(label, label+"."+key+"."+inner, label+"."+key, label), err)
}

// prefixed puts a prefix before an error, or before each of several joined ones.
func prefixed(prefix string, err error) error {
	var errs []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			errs = append(errs, prefixed(prefix, e))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("%s: %w", prefix, err)
}
