package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"agentctl/handler"
	"agentctl/handler/text"
)

// Data is one event as templates see it.
type Data struct {
	Body   []byte         // as [handler.Event.Body] makes it; not to be changed
	Fields map[string]any // of the body's JSON, for {{.name}}; nil if that is no object

	event *handler.Event
}

// NewData reads an event's body. A body that is no JSON object has no fields, with
// two exceptions: an http or https URL is read as {"url": …}, and a text that
// begins with a slash as {"path": …}. The event must not change meanwhile.
func NewData(e *handler.Event) *Data {
	d := &Data{event: e, Body: e.Body()}
	switch text := string(bytes.TrimSpace(d.Body)); {
	case strings.HasPrefix(text, "{"):
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber() // a number goes on to the target as it came
		if dec.Decode(&d.Fields) != nil || !json.Valid(d.Body) {
			d.Fields = nil
		} else if !wellFormed(d.Body) || !utf8.Valid(e.Payload) { // a member event's body is made of the payload
			for name, v := range d.Fields {
				d.Fields[name] = markGarbled(v)
				if strings.ContainsRune(name, utf8.RuneError) {
					d.Fields[name] = garbled{}
				}
			}
		}
	case handler.IsTarget(text) && !strings.HasPrefix(text, "unix:"):
		d.Fields = map[string]any{"url": text}
	case strings.HasPrefix(text, "/"):
		d.Fields = map[string]any{"path": text}
	}
	return d
}

func (d *Data) payload() json.RawMessage { return d.Body }

func (d *Data) meta() map[string]any {
	return map[string]any{
		"type": string(d.event.Type), "name": d.event.Name, "id": d.event.ID, "ltime": fmt.Sprint(d.event.LTime),
	}
}

// text returns a field that is a text; false if there is none.
func (d *Data) text(name string) (string, bool, error) {
	v, there := d.Fields[name]
	if !there || v == nil {
		return "", false, nil
	}
	s, ok := v.(string)
	switch {
	case v == garbled{}:
		return "", false, Misfitf(garbledProblem, "."+name)
	case !ok:
		return "", false, Misfitf(".%s is not a text", name)
	}
	return s, true, nil
}

// url returns the event's url, or nil.
func (d *Data) url() (*url.URL, error) {
	s, there, err := d.text("url")
	if !there {
		return nil, err
	}
	if _, also := d.Fields["path"]; also {
		return nil, Misfitf("it has both .url and .path: give one of them")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, Misfitf(".url cannot be read as a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.Host == "":
		return nil, Misfitf(".url is no http or https URL with a host")
	case u.User != nil:
		return nil, Misfitf(".url has a user in it")
	}
	return u, nil
}

// host returns the host whose object the event is about, as a Host header has it:
// that of the field url, or the field host.
func (d *Data) host() (string, error) {
	u, err := d.url()
	if err != nil {
		return "", err
	}
	host, there, err := d.text("host")
	switch {
	case err != nil:
		return "", err
	case there && u != nil:
		return "", Misfitf("it has both .url and .host: give one of them")
	case u != nil:
		host = u.Host
		if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
			host = strings.TrimSuffix(host, ":"+port) // clients leave it out, too
		}
	case !there:
		return "", Misfitf("it names no host: it needs .url or .host")
	}
	host = strings.ToLower(host)
	if !ValidHost(host) {
		return "", Misfitf("%q is no host; it may have letters, digits, dots, dashes, and a port", text.Excerpt(host, 60))
	}
	return host, nil
}

var hostName = text.LazyRegexp(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?$`)

// ValidHost tells whether a text can be the value of a Host header: a name or an
// address, of at most 255 bytes, with or without a port.
func ValidHost(s string) bool {
	m := hostName().FindStringSubmatch(s)
	if m == nil || len(s) > 255 {
		return false
	}
	_, err := netip.ParseAddr(m[1])
	return m[1] == "" || err == nil
}

// path returns the path and query of the object that the event is about, as a
// client would ask for it: of the field url, or the field path. Escapes in it
// stay as they are, and bytes that need one get it.
func (d *Data) path() (requestPath, error) {
	u, err := d.url()
	if err != nil {
		return "", err
	}
	raw, there, err := d.text("path")
	switch {
	case err != nil:
		return "", err
	case u != nil:
		// Not the path that url.Parse returns: it may be escaped in another way.
		text, _, _ := strings.Cut(d.Fields["url"].(string), "#")
		_, text, _ = strings.Cut(text, "://")
		raw = "/"
		if i := strings.IndexAny(text, "/?"); i >= 0 {
			raw = text[i:]
		}
		if raw[0] == '?' {
			raw = "/" + raw
		}
	case !there:
		return "", Misfitf("it names no path: it needs .url or .path")
	case !strings.HasPrefix(raw, "/"):
		return "", Misfitf(".path does not begin with a slash")
	case strings.Contains(raw, "#"):
		return "", Misfitf(".path has a #, which no client sends: write it as %%23")
	}
	path, query, has := strings.Cut(raw, "?")
	path = percentRest(path, func(c byte) bool { return inSegment(c) || c == '/' || c == ';' })
	if has {
		path += "?" + percentRest(query, func(c byte) bool { return c > ' ' && c < 0x7f && !strings.ContainsRune(`"<>#%`, rune(c)) })
	}
	return requestPath(path), nil
}

// percentRest is percent for a text in which some bytes are %XX already.
func percentRest(s string, plain func(byte) bool) string {
	var b strings.Builder
	for s != "" {
		n := 1
		if len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2]) {
			n = 3
			b.WriteString(s[:n])
		} else {
			b.WriteString(percent(s[:n], plain))
		}
		s = s[n:]
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }
