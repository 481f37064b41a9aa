package agent

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/handler/journal"
)

// apiError is an answer other than 2xx.
type apiError struct {
	status int
	text   string
}

func (e *apiError) Error() string { return e.text }

func apiErrorf(status int, format string, args ...any) error {
	return &apiError{status, fmt.Sprintf(format, args...)}
}

// answer makes a handler of a function that returns what to answer, or an
// error: an *apiError, or one that is the server's fault.
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
	status := http.StatusInternalServerError
	if e, ok := errors.AsType[*apiError](err); ok {
		status = e.status
	} else if errors.Is(err, journal.ErrClosed) {
		status, err = http.StatusServiceUnavailable, fmt.Errorf("%w: it is being reloaded, or the agent ends: try again", err)
	}
	writeJSON(w, status, api.ErrorReport{Error: err.Error()})
}

// methodNotAllowed answers what comes with another method.
func methodNotAllowed(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		writeError(w, apiErrorf(http.StatusMethodNotAllowed, "%s does not take %s: use %s", r.URL.Path, r.Method, allowed))
	}
}

// ownHost refuses requests that name another host. A page of the web can have
// its own name lead to 127.0.0.1 and then ask us, in its visitor's browser, as
// if we were its server (DNS rebinding); but the name that it asks for stays
// its own. Requests with no Host are not a browser's.
func ownHost(httpAddr string, next http.HandlerFunc) http.HandlerFunc {
	own := hostOf(httpAddr)
	return func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		_, notIP := netip.ParseAddr(host)
		if host == "" || notIP == nil || host == own || host == "localhost" || strings.HasSuffix(host, ".localhost") {
			next(w, r)
			return
		}
		writeError(w, apiErrorf(http.StatusMisdirectedRequest,
			"no answer to the host name %q: ask an IP address or localhost, or give the agent the name in -http-addr", host))
	}
}

// ownOrigin refuses what a page of another origin has a browser ask for: such a
// page may not read the answer, but each request costs the agent something. A
// browser says where a request comes from in Sec-Fetch-Site, older ones in
// Origin; programs send neither.
func ownOrigin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		foreign := site != "" && site != "same-origin" && site != "none"
		if origin != "" {
			u, err := url.Parse(origin)
			foreign = foreign || err != nil || !strings.EqualFold(u.Host, r.Host)
		}
		if foreign {
			writeError(w, apiErrorf(http.StatusForbidden, "no answer to a page of another origin: ask from a program, or type the address"))
			return
		}
		next(w, r)
	}
}

// noSniff keeps browsers from taking an answer for anything else than it says.
func noSniff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// withToken lets only those in who have the token that a file holds; without a
// file, all. The file is read each time, so that a new token needs no restart.
func withToken(file string, next http.HandlerFunc) http.HandlerFunc {
	if file == "" {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		want, err := config.ReadSecret(file)
		if err != nil {
			writeError(w, fmt.Errorf("the agent's token cannot be read, so nobody is let in: %w", err))
			return
		}
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, apiErrorf(http.StatusUnauthorized, "this needs the token that the agent has from -http-token-file: send it as Authorization: Bearer TOKEN"))
			return
		}
		next(w, r)
	}
}

// hostOf is the host of host:port or of a lone host, in lower case.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// readRequest reads a request that changes something. Its type has to be JSON's:
// a page of another origin cannot send that without being allowed to, which it
// never is.
func readRequest(r *http.Request, v any) error {
	if typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); typ != "application/json" {
		return apiErrorf(http.StatusUnsupportedMediaType, "the body has to be JSON: send it with Content-Type: application/json")
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, api.MaxRequest))
	if err == nil {
		err = decodeStrictly(data, v)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return apiErrorf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes: send less at a time", api.MaxRequest)
	}
	if err != nil {
		return apiErrorf(http.StatusBadRequest, "the body is not as it should be: %v", err)
	}
	return nil
}

func decodeStrictly(data []byte, v any) error {
	if !utf8.Valid(data) { // a decoder would put other characters in its place
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
