package config

import (
	"errors"
	"fmt"
	"strings"

	"agentctl/handler/target"
)

// Sources tells where settings were given, for messages: "file:line" of a key in
// a configuration file, the name of a flag, or that of a variable. Keys are
// those of configuration files, in lower case; those of a target are like
// "targets[0].url", and an event handler's is "event_handlers=" and itself.
type Sources map[string]string

// Equal is always true: options are the same wherever they were given.
func (Sources) Equal(Sources) bool { return true }

// Note records where the setting of a key was given last.
func (o *Options) Note(key, where string) {
	if o.Sources == nil {
		o.Sources = Sources{}
	}
	o.Sources[strings.ToLower(key)] = where
}

// Label is how a message calls a setting: as it was given, with the place.
func (o *Options) Label(name string) string {
	for _, s := range settings {
		if s.Flag != name && s.Key != name {
			continue
		}
		where := o.Sources[strings.ToLower(s.Key)]
		switch {
		case where == "":
		case where == s.Name(), where == s.Env():
			return where
		default:
			return where + ": " + s.Key
		}
	}
	return name
}

// at puts the place of the first key that has one before a label.
func (o *Options) at(label string, keys ...string) string {
	for _, key := range keys {
		if where := o.Sources[strings.ToLower(key)]; where != "" {
			return where + ": " + label
		}
	}
	return label
}

// targetError says of which target an error, or each of several joined ones, is.
func (o *Options) targetError(i int, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, o.targetError(i, e))
		}
		return errors.Join(errs...)
	}
	label := fmt.Sprintf("targets[%d]", i)
	if terr, ok := errors.AsType[*target.Error](err); ok {
		err = terr.Err // the label says which it is
	}
	key, rest, _ := strings.Cut(strings.ReplaceAll(err.Error(), " ", "_"), ":_")
	inner, _, _ := strings.Cut(rest, ":_")
	return fmt.Errorf("%s: %w", o.at(label, label+"."+key+"."+inner, label+"."+key, label), err)
}
