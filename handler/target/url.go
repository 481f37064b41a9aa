package target

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"agentctl/handler/template"
	"agentctl/handler/text"
)

// endpoint is a target's URL taken apart. With a socket, url is only for the
// request.
type endpoint struct {
	url    *url.URL
	socket string // path of a unix socket, or ""
	// path is a template of path and query, and shown its text without the
	// query. It is nil if the whole URL is fixed; the host always is.
	path  *template.Template
	shown string
}

// Address is where a target listens, in the words of [net.Dial].
type Address struct{ Network, Addr string }

func (ep endpoint) address() Address {
	if ep.socket != "" {
		return Address{"unix", ep.socket}
	}
	port := ep.url.Port()
	if port == "" {
		port = "80"
		if ep.url.Scheme == "https" {
			port = "443"
		}
	}
	return Address{"tcp", net.JoinHostPort(ep.name(), port)}
}

// host is the value of the Host header: as net/http writes it, in the letters that DNS
// knows, and without the zone of an address, which means something on this machine alone.
func (ep endpoint) host() string {
	var b bytes.Buffer
	if err := (&http.Request{URL: &url.URL{Scheme: "http", Host: ep.url.Host}}).Write(&b); err != nil {
		return ep.url.Host
	}
	req, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		return ep.url.Host
	}
	return req.Host
}

// name is the host that is dialed, and that its certificate names.
func (ep endpoint) name() string {
	if name := ep.url.Hostname(); strings.Contains(name, ":") { // with its zone
		return name
	}
	return (&url.URL{Host: ep.host()}).Hostname()
}

// tls is the configuration for an endpoint with TLS, or nil for one without.
func (ep endpoint) tls(c *tls.Config) *tls.Config {
	if ep.url.Scheme != "https" {
		return nil
	}
	if c = c.Clone(); c == nil {
		c = new(tls.Config)
	}
	if c.ServerName == "" {
		c.ServerName = ep.name()
	}
	return c
}

// String is the URL without user, password and query, which may be secrets.
func (ep endpoint) String() string {
	u := *ep.url
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	path := u.EscapedPath()
	if ep.path != nil {
		path, u.Path, u.RawPath = ep.shown, "", ""
	}
	if ep.socket != "" {
		return "unix:" + ep.socket + ":" + path
	}
	if ep.path != nil {
		return u.String() + path
	}
	return u.String()
}

// wholePath matches the one placeholder that may follow a host at once.
var wholePath = text.LazyRegexp(`^\{\{(- )?\s*path\s*( -)?\}\}$`)

// splitURL cuts a URL with placeholders into the part that has to be fixed, and the
// path and query.
func splitURL(raw string) (base, path string, err error) {
	begin := strings.Index(raw, "://") + len("://")
	if rest, ok := strings.CutPrefix(raw, "unix:"); ok {
		socket, _, ok := strings.Cut(rest, ":")
		if !ok || strings.Contains(socket, "{{") {
			return "", "", errors.New("placeholders may stand only in the path behind the socket, as in unix:/run/gateway.sock:/{{.key}}")
		}
		begin = len("unix:") + len(socket) + 1
	}
	if i := strings.IndexAny(raw[begin:], "/?#{"); i >= 0 {
		begin += i
	}
	base, path = raw[:begin], raw[begin:]
	if strings.HasPrefix(path, "?") {
		path = "/" + path
	}
	if !strings.HasPrefix(path, "/") && !wholePath().MatchString(path) {
		return "", "", errors.New("placeholders may stand only in path and query, and a path begins with a slash or is {{path}}: an event cannot choose the host")
	}
	return base + "/", path, nil
}

func parseURL(raw string) (endpoint, error) {
	if raw == "" {
		return endpoint{}, errors.New("is missing; give http://HOST:PORT/PATH, https://... or unix:/SOCKET:/PATH")
	}
	if _, err := AddScheme(raw); err != nil {
		return endpoint{}, err
	}
	var ep endpoint
	if template.HasPlaceholder(raw) {
		base, path, err := splitURL(raw)
		if err != nil {
			return ep, err
		}
		if ep.path, err = template.Compile(path, template.InPath); err != nil {
			return ep, err
		}
		raw = base
		ep.shown, _, _ = strings.Cut(path, "?")
	}
	if rest, ok := strings.CutPrefix(raw, "unix:"); ok {
		// As in nginx: the first colon ends the socket's path.
		socket, path, ok := strings.Cut(rest, ":")
		if !filepath.IsAbs(socket) || strings.IndexFunc(socket, unicode.IsControl) >= 0 {
			return ep, fmt.Errorf("%q: the socket's path must be absolute, as in unix:/run/gateway.sock", "unix:"+socket)
		}
		if !ok {
			path = defaultUnixPath
		}
		if !strings.HasPrefix(path, "/") {
			return ep, fmt.Errorf("%q: the path after the socket must begin with a slash", "unix:"+rest)
		}
		ep.socket, raw = filepath.Clean(socket), "http://localhost"+path
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ep, unparsable(raw, err)
	}
	ep.url = u
	switch port, err := strconv.Atoi(u.Port()); {
	case u.User == nil && strings.Contains(raw, "@") && u.Opaque != "":
		return ep, unparsable(raw, nil) // "user:password@host"
	case u.Scheme != "http" && u.Scheme != "https":
		return ep, fmt.Errorf("%q: the scheme must be http://, https:// or unix:", u.Redacted())
	case u.Hostname() == "":
		return ep, fmt.Errorf("%q names no host, as in http://127.0.0.1:8001/", u.Redacted())
	case u.Port() != "" && (err != nil || port < 1 || port > 65535):
		return ep, fmt.Errorf("%q: port %s is not within 1 to 65535", u.Redacted(), u.Port())
	}
	return ep, nil
}

// unparsable makes an error of an error of url.Parse, whose text repeats the URL or
// parts of it. If there is an "@" in the URL, such a part may be the password.
func unparsable(raw string, err error) error {
	if strings.Contains(raw, "@") {
		return errors.New("cannot be read (not shown here, as it may hold a password); percent-encode special characters in user and password")
	}
	if uerr, ok := errors.AsType[*url.Error](err); ok {
		err = uerr.Err
	}
	return fmt.Errorf("%q cannot be read: %w", raw, err)
}
