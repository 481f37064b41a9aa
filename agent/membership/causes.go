package membership

import (
	"fmt"
	"slices"
	"strings"

	"agentctl/handler/text"
)

// JoinFailure is why a name that is to be joined could not be, the last time.
type JoinFailure struct {
	Name  string // as it is configured
	Cause string // in a few words, on one line
}

// Failures are the names of the joins that were asked for which failed at the last
// try, in their order. A name that has not been tried yet is not among them.
func (j *Joiner) Failures() []JoinFailure {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.failures)
}

// note keeps how the last try went for each of its names.
func (j *Joiner) note(failures []JoinFailure) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failures = failures
}

// causes are what the errors of memberlist come to, by a part of their text in small
// letters: memberlist has no types for them.
var causes = []struct{ part, cause string }{
	{"could decrypt the message", "wrong key: it encrypts gossip with another one than this node, see -encrypt and -keyring-file"},
	{"encrypted and encryption is not configured", "wrong key: it encrypts gossip, and this node has no key, see -encrypt and -keyring-file"},
	{"encryption is configured but remote state is not encrypted", "wrong key: it does not encrypt gossip, and this node does, see -encrypt and -keyring-file"},
	{"connection refused", "connection refused"},
	{"no such host", "no such host"},
	{"i/o timeout", "no answer in time"},
	{"deadline exceeded", "no answer in time"},
	{"no route to host", "no route to host"},
	{"network is unreachable", "network is unreachable"},
	{"eof", "it closed the connection: is it a member of the cluster?"},
	{"connection reset", "it closed the connection: is it a member of the cluster?"},
}

// causeOf says in a few words why a name could not be joined. The log has all of the
// error.
func causeOf(err error) string {
	msg := flatten(err).Error()
	if before, _, ok := strings.Cut(msg, ": 1 error occurred"); ok {
		return "protocol: " + text.Excerpt(before, 2*text.ExcerptSize) // a remedy, see package gossip
	}
	lower := strings.ToLower(msg)
	for _, c := range causes {
		if strings.Contains(lower, c.part) {
			return c.cause
		}
	}
	_, after, ok := strings.Cut(msg, "error occurred: ")
	if ok {
		msg = after
	}
	return text.Excerpt(msg, text.ExcerptSize)
}

// joinErrors are the errors of several joins, as memberlist would tell them of one.
type joinErrors []error

func (e joinErrors) Error() string {
	var said, lines []string
	for _, err := range e {
		before, list, ok := strings.Cut(err.Error(), "occurred:\n")
		if !ok {
			said = append(said, before)
			continue
		}
		if i := strings.LastIndex(before, ": "); i >= 0 {
			said = append(said, before[:i])
		}
		for line := range strings.Lines(list) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, "\t"+line)
			}
		}
	}
	said = slices.Compact(said)
	if len(lines) > 0 {
		noun := "errors"
		if len(lines) == 1 {
			noun = "error"
		}
		said = append(said, fmt.Sprintf("%d %s occurred:\n%s\n", len(lines), noun, strings.Join(lines, "\n")))
	}
	return strings.Join(said, ": ")
}

// Unwrap returns the errors.
func (e joinErrors) Unwrap() []error { return e }

// joined joins errors of which some are nil.
func joined(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return joinErrors(errs)
}
