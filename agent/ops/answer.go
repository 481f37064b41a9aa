package ops

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"agentctl/agent/api"
	"agentctl/handler/journal"
)

// httpError is an answer other than 2xx.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

func errorf(status int, format string, args ...any) error {
	return &httpError{status, fmt.Sprintf(format, args...)}
}

// answer makes a handler of a function that returns what to answer, or an
// error: an *httpError, or one that is the server's fault.
func answer(f func(*http.Request) (status int, body any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, body, err := f(r)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, status, body)
	}
}

func writeError(w http.ResponseWriter, err error) {
	if errors.Is(err, journal.ErrClosed) {
		err = errorf(http.StatusServiceUnavailable, "%v: it is being reloaded, or the agent ends: try again", err)
	}
	writeJSON(w, statusOf(err), api.ErrorReport{Error: err.Error()})
}

// statusOf is the status of an answer that has an error. One that says no status is the
// server's fault.
func statusOf(err error) int {
	if e, ok := errors.AsType[*httpError](err); ok {
		return e.status
	}
	return http.StatusInternalServerError
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := newEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(v) // the client has gone
}

// newEncoder leaves <, > and & as they are: these are no pages.
func newEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// parameters reads the query of a request. It may have only the parameters that are
// known, each once. All else is refused and never passed over, since a filter that is
// misspelt would match all, and a probe would find well what it was to count.
func parameters(r *http.Request, known ...string) (map[string]string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errorf(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	given := map[string]string{}
	for key, values := range query {
		switch {
		case !slices.Contains(known, key):
			return nil, errorf(http.StatusBadRequest, "unknown parameter %q: there is %s", key, cmp.Or(strings.Join(known, ", "), "none"))
		case len(values) > 1:
			return nil, errorf(http.StatusBadRequest, "%s is given %d times: give it once", key, len(values))
		}
		given[key] = values[0]
	}
	return given, nil
}

// methodNotAllowed answers what comes with another method.
func methodNotAllowed(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		writeError(w, errorf(http.StatusMethodNotAllowed, "%s does not take %s: use %s", r.URL.Path, r.Method, allowed))
	}
}

// readRequest reads a request that changes something. Its type has to be JSON's:
// a page of another origin cannot send that without being allowed to, which it
// never is.
func readRequest(r *http.Request, v any) error {
	if typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); typ != "application/json" {
		return errorf(http.StatusUnsupportedMediaType, "the body has to be JSON: send it with Content-Type: application/json")
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, api.MaxRequest))
	if err == nil {
		err = decodeStrictly(data, v)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errorf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes: send less at a time", api.MaxRequest)
	}
	if err != nil {
		return errorf(http.StatusBadRequest, "the body is not as it should be: %v", err)
	}
	return nil
}

func decodeStrictly(data []byte, v any) error {
	if !utf8.Valid(data) { // a decoder would put other characters instead
		return errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, more := dec.Token(); more != io.EOF {
		return errors.New("more follows the object")
	}
	return nil
}
