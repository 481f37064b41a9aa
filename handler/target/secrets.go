package target

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"agentctl/handler/template"
	"agentctl/handler/text"
)

// A gateway may repeat a request in its answer, as debug pages and error pages do. What
// is kept of an answer is shown in the log, in status and to whoever may read events, so
// the credentials of the request are taken out of it first.

const (
	// minSecret is the least length of a secret, in bytes. A shorter one stands in many
	// answers by chance, and does not protect anything.
	minSecret = 4
	// hidden stands in the place of a secret.
	hidden = "xxxxx"
)

// secrets are the credentials of a target's requests, in all forms in which an answer may
// repeat them. It is safe for concurrent use.
type secrets struct {
	forms   []string // the longest first
	replace *strings.Replacer
}

// openHeaders are headers whose values are no credentials.
var openHeaders = []string{"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Type", "Host", "User-Agent"}

// newSecrets finds the credentials of a target and of its flush request: in the user and
// the query of a URL, and in headers.
func newSecrets(t *Target) *secrets {
	var s secrets
	s.ofURL(t.URL)
	s.ofHeader(t.Header)
	if t.Flush != nil {
		s.ofURL(t.Flush.URL)
		s.ofHeader(t.Flush.Header)
	}
	slices.SortFunc(s.forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	s.forms = slices.Compact(s.forms)
	var pairs []string
	for _, form := range s.forms {
		pairs = append(pairs, form, hidden)
	}
	s.replace = strings.NewReplacer(pairs...)
	return &s
}

// placeholder matches a part of a template that is not its own text.
var placeholder = text.LazyRegexp(`\{\{.*?\}\}`)

func (s *secrets) ofURL(raw string) {
	fixed, query, _ := strings.Cut(raw, "?")
	query, _, _ = strings.Cut(query, "#")
	if !template.HasPlaceholder(query) {
		s.add(query)
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			value = name
		}
		for _, part := range placeholder().Split(value, -1) {
			s.add(part)
			if plain, err := url.QueryUnescape(part); err == nil {
				s.add(plain)
			}
		}
	}
	if template.HasPlaceholder(fixed) {
		fixed, _, _ = splitURL(fixed)
	}
	u, err := url.Parse(fixed)
	if err != nil || u.User == nil {
		return
	}
	password, has := u.User.Password()
	if !has {
		password = u.User.Username() // some servers take a token there
	}
	s.add(password)
	s.add(u.User.String())
	s.add(u.User.Username() + ":" + password)
}

func (s *secrets) ofHeader(h http.Header) {
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(openHeaders, name) {
			continue
		}
		for _, v := range values {
			switch {
			case template.HasPlaceholder(v):
				continue // it is the event's
			case name == "Authorization" || name == "Proxy-Authorization":
				_, credentials, _ := strings.Cut(v, " ") // behind the word for their kind
				s.add(credentials)
				if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil {
					_, password, _ := strings.Cut(string(plain), ":") // of basic auth
					s.add(string(plain))
					s.add(password)
				}
			case name == "Cookie":
				for pair := range strings.SplitSeq(v, ";") {
					_, value, _ := strings.Cut(pair, "=")
					s.add(value)
				}
			}
			s.add(v)
		}
	}
}

// add notes a secret in its forms: as it is, and in base64 by itself or within a longer
// text; each also escaped for a URL, HTML and JSON.
func (s *secrets) add(secret string) {
	if secret = strings.TrimSpace(secret); len(secret) < minSecret {
		return
	}
	s.escaped(secret)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		s.escaped(enc.EncodeToString([]byte(secret)))
		for before := range 3 {
			s.escaped(within(enc, secret, before))
		}
	}
}

var (
	percented = text.LazyRegexp(`%[0-9A-F]{2}`)
	// Servers disagree on how quotes are written in HTML.
	entities = sync.OnceValue(func() []*strings.Replacer {
		return []*strings.Replacer{
			strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;"),
			strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;"),
			strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;"),
			strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
		}
	})
)

// escaped notes a text as it is, and in the ways in which servers escape it. They
// disagree on which characters need it, on upper and lower case, and on slashes in JSON.
func (s *secrets) escaped(secret string) {
	forms := []string{secret, html.EscapeString(secret)}
	for _, r := range entities() {
		forms = append(forms, r.Replace(secret))
	}
	for _, f := range []string{url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")} {
		forms = append(forms, f, percented().ReplaceAllStringFunc(f, strings.ToLower))
	}
	for _, pages := range []bool{true, false} { // whether it may stand in HTML
		var quoted strings.Builder
		enc := json.NewEncoder(&quoted)
		enc.SetEscapeHTML(pages)
		if enc.Encode(secret) != nil {
			continue
		}
		text := strings.TrimSuffix(quoted.String(), "\n")
		text = text[1 : len(text)-1]
		for _, f := range []string{text, asciiJSON(text)} {
			forms = append(forms, f, strings.ReplaceAll(f, "/", `\/`))
		}
	}
	s.forms = append(s.forms, forms...)
}

// asciiJSON writes what is not ASCII as \uXXXX.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		if unit < 0x80 {
			b.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// within returns the characters that a text has in base64 if so many bytes stand before
// it, whatever those bytes are, and whatever follows.
func within(enc *base64.Encoding, text string, before int) string {
	const bits = 6 // of a character
	encoded := enc.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("x", before) + text))
	first := (8*before + bits - 1) / bits
	end := 8 * (before + len(text)) / bits
	return encoded[first:end]
}

// hide takes the secrets out of a text.
func (s *secrets) hide(text string) string { return s.replace.Replace(text) }

// hideIn takes the secrets out of what is kept of an answer. If the answer was cut, its
// end may be the beginning of a secret.
func (s *secrets) hideIn(kept []byte, cut bool) []byte {
	if len(kept) == 0 || len(s.forms) == 0 {
		return kept
	}
	text := s.hide(string(kept))
	if cut {
		most := 0
		for _, form := range s.forms {
			for n := min(len(form)-1, len(text)); n > most; n-- {
				if strings.HasSuffix(text, form[:n]) {
					most = n
				}
			}
		}
		if most > 0 {
			text = text[:len(text)-most] + hidden
		}
	}
	return []byte(text[:min(len(text), keptAnswer)])
}

// hideError takes the secrets out of an error's text: one repeats an answer that it
// cannot read.
func (s *secrets) hideError(err error) error {
	if text := s.hide(err.Error()); text != err.Error() {
		return &hiddenError{text, err}
	}
	return err
}

// hiddenError is an error with another text.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }
