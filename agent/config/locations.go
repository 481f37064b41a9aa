package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"agentctl/handler/target"
)

// locations tells where settings were given, for messages. The keys are those of
// configuration files, in lower case. A target's keys look like "targets[0].url",
// where all files' targets are counted; an event handler's is "event_handlers=" and
// its text.
type locations map[string]location

// location is where a setting was given last.
type location struct {
	where string // file:line:column of a key, or ""
	name  string // the key as the file spells it, the flag, or the variable
}

// String is how a message calls the setting.
func (l location) String() string {
	if l.where == "" {
		return l.name
	}
	return l.where + ": " + l.name
}

// note records that a flag or a variable gave the setting of a key.
func (l locations) note(key, name string) { l[strings.ToLower(key)] = location{name: name} }

// noteFile records that a file did.
func (l locations) noteFile(key, where, name string) {
	l[strings.ToLower(key)] = location{where, name}
}

// of is the setting with a flag, without the dash, or a key of that name.
func (l locations) of(name string) location {
	for _, s := range settings {
		if s.Flag != name && s.Key != name {
			continue
		}
		if at, given := l[strings.ToLower(s.Key)]; given && s.Key != "" {
			return at
		}
		break
	}
	return location{name: name}
}

// label is how a message calls a setting: by the name it was given by, with its
// location in a file.
func (l locations) label(name string) string { return l.of(name).String() }

// called is label without the location, for a setting that is not the message's own.
// One that was not given is called by its flag, which is how most would give it.
func (l locations) called(name string) string {
	if at := l.of(name); at.name != name {
		return at.name
	}
	for _, s := range settings {
		if s.Flag == name || s.Key == name {
			return s.name()
		}
	}
	return name
}

// targetKey is the key of a target in locations.
func targetKey(i int) string { return fmt.Sprintf("targets[%d]", i) }

// targetError says of which target an error, or each of several joined ones, is, and
// of which of its keys, which the error begins with.
func (l locations) targetError(i int, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, l.targetError(i, e))
		}
		return errors.Join(errs...)
	}
	if terr, ok := errors.AsType[*target.Error](err); ok {
		err = terr.Err // the label says which it is
	}
	at, ok := l[targetKey(i)]
	if !ok {
		at = location{name: targetKey(i)}
	}
	key, rest := targetKeyOf(err.Error())
	if key == "" {
		return &labelled{at.String() + ": " + rest, err}
	}
	at.name += "." + key
	// The key itself, or the object that lacks it.
	for name := targetKey(i) + "." + key; name != targetKey(i); name = name[:strings.LastIndex(name, ".")] {
		if given, ok := l[name]; ok {
			at.where = given.where
			if name == targetKey(i)+"."+key {
				at = given
			}
			break
		}
	}
	return &labelled{at.String() + ": " + rest, err}
}

// targetKeyOf splits the key of a target, such as "flush.url", off a message that
// begins with it.
func targetKeyOf(msg string) (key, rest string) {
	for rest = msg; ; {
		word, after, ok := strings.Cut(rest, ": ")
		if key != "" {
			word = key + "." + word
		}
		if !ok || !slices.Contains(TargetKeys(), word) {
			return key, rest
		}
		key, rest = word, after
	}
}

// labelled is an error with another text.
type labelled struct {
	text string
	err  error
}

func (e *labelled) Error() string { return e.text }

func (e *labelled) Unwrap() error { return e.err }

// prefixed puts a prefix before an error, or before each of several joined ones.
func prefixed(prefix string, err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			errs = append(errs, prefixed(prefix, e))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("%s: %w", prefix, err)
}
