package shim

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"agentctl/handler"
	"agentctl/handler/text"
)

// maxInput is how much FromScript reads at most, in bytes.
const maxInput = 1 << 20

// scriptError is an environment or a standard input that serf does not give its event
// handlers.
type scriptError struct {
	problem string
	err     error // the cause; nil if there is none
}

// Error is one line that also says what the command is for.
func (e *scriptError) Error() string {
	s := e.problem
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s + "; this command is for use as a serf event handler, as in: serf agent -event-handler 'user:NAME=agentctl handler -gateway=URL'"
}

func (e *scriptError) Unwrap() error { return e.err }

// FromScript makes the event that serf gave an event handler. The environment has
// SERF_EVENT, and with it SERF_USER_EVENT and SERF_USER_LTIME, or SERF_QUERY_NAME and
// SERF_QUERY_LTIME. FromScript reads stdin to its end; more than 1 MiB is an error.
// The error is one line for an operator.
//
// Serf appends a newline to a payload that does not end in one. FromScript takes one
// newline at the end off again. So a payload that did end in one arrives without it:
// nobody can tell the two apart.
//
// The ID of a member event is made of its type and lines. So the same change of the
// same member has the same ID each time.
func FromScript(environ []string, stdin io.Reader) (handler.Event, error) {
	env := environment(environ)
	typ := handler.Type(env["SERF_EVENT"])
	if typ == "" {
		return handler.Event{}, &scriptError{problem: "SERF_EVENT is not set"}
	}
	if !typ.Valid() {
		return handler.Event{}, &scriptError{problem: fmt.Sprintf(`SERF_EVENT is "%s", which is no event type of serf`,
			text.Excerpt(string(typ), text.ExcerptSize))}
	}
	var ltime uint64
	if !typ.IsMember() {
		name := "SERF_USER_LTIME"
		if typ == handler.Query {
			name = "SERF_QUERY_LTIME"
		}
		var err error
		if ltime, err = strconv.ParseUint(env[name], 10, 64); err != nil {
			return handler.Event{}, &scriptError{problem: fmt.Sprintf(`%s is "%s", not a Lamport time`,
				name, text.Excerpt(env[name], text.ExcerptSize))}
		}
	}
	// One byte more than the limit shows that the limit is passed.
	input, err := io.ReadAll(io.LimitReader(stdin, maxInput+1))
	if err != nil {
		return handler.Event{}, &scriptError{problem: "reading the event from stdin", err: err}
	}
	if len(input) > maxInput {
		return handler.Event{}, &scriptError{problem: fmt.Sprintf("stdin holds more than %d bytes, the limit for an event", maxInput)}
	}
	now := time.Now()
	switch payload := bytes.TrimSuffix(input, []byte("\n")); typ {
	case handler.User:
		return handler.NewUser(ltime, env["SERF_USER_EVENT"], payload, now), nil
	case handler.Query:
		return handler.NewQuery(ltime, env["SERF_QUERY_NAME"], payload, now), nil
	}
	return handler.NewMember(typ, string(typ)+"-"+handler.ShortSum(handler.Sum(string(typ), input)), input, now), nil
}

// environment returns the variables by name. If one is set twice, the last counts.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	return env
}
