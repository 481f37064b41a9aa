package target

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"agentctl/handler"
	"agentctl/handler/text"
)

// addressed matches what is surely meant as a URL although it has no scheme: a host
// with a port, an IP address or localhost, alone or before a path.
var addressed = text.LazyRegexp(`^([^\s/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]{1,5})?([/?#{]\S*)?$`)

// halfScheme matches a scheme that is not written as it should be, and slashes
// without one.
var halfScheme = text.LazyRegexp(`^(?:(?i:https?)(?::/?|//)|//)([^/].*)$`)

// wrapping is what a URL may stand in by mistake: blanks, and quotes that a file of
// variables or a list in YAML kept.
const wrapping = " \t\r\n'\"`"

// LooksLikeURL tells whether an event handler that is not a target has the form of a
// URL whose scheme is missing, such as 127.0.0.1:6081/.
func LooksLikeURL(what string) bool {
	if handler.IsTarget(what) {
		return false
	}
	if inner := strings.Trim(what, wrapping); inner != what {
		return handler.IsTarget(inner) || LooksLikeURL(inner)
	}
	if halfScheme().MatchString(what) {
		return true
	}
	m := addressed().FindStringSubmatch(what)
	if m == nil {
		return false
	}
	host := strings.Trim(m[2], "[]")
	if m[3] != "" {
		port, _ := strconv.Atoi(m[3][1:])
		return port > 0 && port <= 65535
	}
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// AddScheme returns what a URL without a scheme, or in quotes or blanks, was most likely
// meant to be, and an error that says so; the URL and nil where it has one.
func AddScheme(raw string) (meant string, err error) {
	switch inner := strings.Trim(raw, wrapping); {
	case inner == raw:
	case inner == "":
		return raw, fmt.Errorf("%q is no URL: write one such as http://127.0.0.1:8001/", raw)
	default:
		if meant, _ = AddScheme(inner); strings.Contains(raw, "@") {
			return meant, errors.New("stands in quotes or blanks (not shown here, as it may hold a password): remove them")
		}
		return meant, fmt.Errorf("%q stands in quotes or blanks: write %s", raw, quoted(meant))
	}
	if raw == "" || handler.IsTarget(raw) || strings.Contains(raw, "://") {
		return raw, nil
	}
	meant = "http://" + raw
	if m := halfScheme().FindStringSubmatch(raw); m != nil {
		meant = "http://" + m[1]
		if strings.HasPrefix(strings.ToLower(raw), "https") {
			meant = "https://" + m[1]
		}
	} else if strings.HasPrefix(raw, ":") {
		meant = "http://127.0.0.1" + raw
	}
	switch {
	case strings.Contains(raw, "@"):
		return meant, errors.New("has no scheme (not shown here, as it may hold a password): it has to begin with http://, https:// or unix:")
	case strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//"):
		return "unix:" + raw, fmt.Errorf("%q has no scheme: write unix:%s for a socket, or http://HOST:PORT%s", raw, quoted(raw), quoted(raw))
	}
	return meant, fmt.Errorf("%q has no scheme: write %s", raw, quoted(meant))
}

// quoted escapes what a line cannot hold, as %q does.
func quoted(s string) string { return strings.Trim(strconv.Quote(s), `"`) }
