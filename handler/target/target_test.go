package target

import (
	"strings"
	"testing"
	"time"

	"agentctl/handler"
)

func TestTargetDefaults(t *testing.T) {
	d := Target{URL: "http://admin:s3cret@127.0.0.1:8001/x"}.WithDefaults()
	if d.Timeout != 5*time.Second || d.MinBackoff != 100*time.Millisecond || d.MaxBackoff != 30*time.Second || d.UserAgent == "" {
		t.Errorf("%+v", d)
	}
	for raw, want := range map[string]string{
		"http://admin:s3cret@127.0.0.1:8001/x": "http://127.0.0.1:8001/x",
		"http://token@h/x?key=secret#f":        "http://h/x",
		"unix:/run/g.sock":                     "unix:/run/g.sock:/cluster/events/",
		"unix:/run/g.sock:/purge?x=1":          "unix:/run/g.sock:/purge",
		"https://gw/":                          "https://gw/",
	} {
		if got := (Target{URL: raw}).WithDefaults().Name; got != want {
			t.Errorf("name of %s is %s, want %s", raw, got, want)
		}
	}
	set := Target{Name: "n", URL: "http://h", Timeout: 1, MinBackoff: 2, MaxBackoff: 3, UserAgent: "u"}
	if got := set.WithDefaults(); got.Name != "n" || got.Timeout != 1 || got.MinBackoff != 2 || got.MaxBackoff != 3 || got.UserAgent != "u" {
		t.Errorf("what was set is changed: %+v", got)
	}
}

func TestTargetValidate(t *testing.T) {
	for _, good := range []Target{
		{URL: "http://127.0.0.1:8001/cluster/events/"},
		{URL: "https://u:p@gw.example/x?y=z"},
		{URL: "unix:/run/x.sock"},
		{URL: "http://[::1]:80"},
		{URL: "http://h", UserAgent: "agentctl/1.0 (100%)", Filters: handler.Filters{{Type: handler.User, Name: "kong"}, {Type: handler.MemberJoin}}},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%s: %v", good.URL, err)
		}
	}
	for _, c := range []struct {
		target Target
		wants  []string
	}{
		{Target{}, []string{"url", "missing"}},
		{Target{URL: "http:///path"}, []string{"names no host"}},
		{Target{URL: "http://:80/"}, []string{"names no host"}},
		{Target{URL: "ftp://h/"}, []string{"scheme", "ftp"}},
		{Target{URL: "127.0.0.1:8001"}, []string{"url", "127.0.0.1"}},
		{Target{URL: "http://h:99999/"}, []string{"port 99999"}},
		{Target{URL: "unix:run/x.sock"}, []string{"absolute"}},
		{Target{URL: "unix:/run/x.sock:y"}, []string{"begin with a slash"}},
		{Target{URL: "http://h", Name: "a\nb"}, []string{"name"}},
		{Target{URL: "http://h", UserAgent: "a\r\nX: y"}, []string{"user agent"}},
		{Target{Name: "50%d", URL: "http://h", Timeout: -1}, []string{"target 50%d: timeout: -1ns"}},
		{Target{Name: "gw", URL: "http://", Timeout: -1, MinBackoff: time.Minute, Filters: handler.Filters{{Type: "nope"}}},
			[]string{"target gw", "names no host", "timeout", "backoff", `"nope"`, "member-join"}},
	} {
		err := c.target.Validate()
		if err == nil {
			t.Errorf("%+v passes", c.target)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		if _, err := NewPoster(c.target); err == nil {
			t.Errorf("NewPoster takes %+v", c.target)
		}
	}
}

func TestTargetErrorsHideThePassword(t *testing.T) {
	for _, raw := range []string{
		"http://u:s3cret@", "http://u:s3cret@:80/", "ftp://u:s3cret@h/", "http://u:s3cret@h:99999/",
		"http://u:s3cret %@h/", "http://u:s3c/s3cret@h/", "http://u:s3cret@h:port/", "u:s3cret@h", "http://u:s3cret\x7f@h/",
	} {
		err := (&Target{URL: raw}).Validate()
		if err == nil {
			t.Errorf("%q passes", raw)
		} else if strings.Contains(err.Error(), "s3c") {
			t.Errorf("the error for %q shows the password: %v", raw, err)
		}
	}
}

func TestHeaderValue(t *testing.T) {
	for s, want := range map[string]string{
		"":                "",
		"kong":            "kong",
		"a b":             "a b",
		" a ":             "%20a%20",
		"a\r\nX: y\x00":   "a%0D%0AX: y%00",
		"100%":            "100%25",
		"gr\u00fcn\x7f":   "gr%C3%BCn%7F",
		"\t":              "%09",
		" ":               "%20",
		"~!\"#&'()[]{}\\": "~!\"#&'()[]{}\\",
	} {
		if got := headerValue(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	if got := headerValue(strings.Repeat("x", 5000)); got != strings.Repeat("x", maxHeaderValue) {
		t.Errorf("a long name became one of %d bytes", len(got))
	}
	got := headerValue("x" + strings.Repeat("\xff", 5000))
	if want := "x" + strings.Repeat("%FF", 341); got != want {
		t.Errorf("cut at %q", got[len(got)-6:])
	}
}
