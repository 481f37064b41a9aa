package membership

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"agentctl/handler/text"
)

// JoinFailure is why a name that is to be joined could not be, the last time.
type JoinFailure struct {
	Name  string // as it is configured
	Cause string // in a few words, on one line
	Early bool   // it is like that, too, where the others start a little later
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
var causes = []struct {
	part, cause string
	early       bool
}{
	{"could decrypt the message", "wrong key: it encrypts gossip with another one than this node, see -encrypt and -keyring-file", false},
	{"encrypted and encryption is not configured", "wrong key: it encrypts gossip, and this node has no key, see -encrypt and -keyring-file", false},
	{"encryption is configured but remote state is not encrypted", "wrong key: it does not encrypt gossip, and this node does, see -encrypt and -keyring-file", false},
	{"connection refused", "connection refused", true},
	{"no such host", "no such host", true},
	{"i/o timeout", "no answer in time", true},
	{"deadline exceeded", "no answer in time", true},
	{"no route to host", "no route to host", true},
	{"network is unreachable", "network is unreachable", true},
	{"eof", "it closed the connection: is it a member of the cluster?", false},
	{"connection reset", "it closed the connection: is it a member of the cluster?", false},
}

// causeOf says in a few words why a name could not be joined. The log has all of the
// error.
func causeOf(err error) (cause string, early bool) {
	msg := flatten(err).Error()
	if before, _, ok := strings.Cut(msg, ": 1 error occurred"); ok {
		return "protocol: " + text.Excerpt(before, 2*text.ExcerptSize), false // a remedy, see package gossip
	}
	lower := strings.ToLower(msg)
	for _, c := range causes {
		if strings.Contains(lower, c.part) {
			return c.cause, c.early
		}
	}
	_, after, ok := strings.Cut(msg, "error occurred: ")
	if ok {
		msg = after
	}
	return text.Excerpt(msg, text.ExcerptSize), false
}

// joinQuiet is for how long the log says no more of names that cannot be joined than
// that they cannot, at level INFO, if it may be that the others are only starting.
const joinQuiet = 10 * time.Second

// whyLogged is how many bytes of the causes a log line has.
const whyLogged = 1 << 10

// failureLevel is the level at which the log says that an attempt failed. One that is
// left out for want of news is a debug line.
func (j *Joiner) failureLevel(attempt int, after time.Duration) slog.Level {
	early := after < joinQuiet && !slices.ContainsFunc(j.Failures(), func(f JoinFailure) bool { return !f.Early })
	switch {
	case early && attempt == 1:
		return slog.LevelInfo
	case early || !j.sampled.Nth("joining failed", uint64(attempt), time.Minute):
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// why is the causes of the names on one line.
func (j *Joiner) why(err error) string {
	var all []string
	for _, f := range j.Failures() {
		all = append(all, f.Name+": "+f.Cause)
	}
	if len(all) == 0 {
		return text.Excerpt(err.Error(), whyLogged)
	}
	return text.Shorten(strings.Join(all, "; "), whyLogged)
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
