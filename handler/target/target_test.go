package target

import (
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
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
		{Target{URL: "127.0.0.1:8001"}, []string{"url", "write http://127.0.0.1:8001"}},
		{Target{URL: "gw/{{path}}"}, []string{"url", "write http://gw/{{path}}"}},
		{Target{URL: "/run/x.sock"}, []string{"url", "write unix:/run/x.sock"}},
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

func TestTargetConcurrency(t *testing.T) {
	d := Target{URL: "http://h"}.WithDefaults()
	testkit.Want(t, "defaults", []any{d.Concurrency, d.OrderKey}, []any{1, "payload"})
	for _, good := range []Target{
		{Concurrency: maxConcurrency, OrderKey: "collection+entity.id"}, {OrderKey: "0.x y.ü"},
	} {
		good.URL = "http://h"
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
	for wanted, bad := range map[string]Target{
		"concurrency: -1 is not within 1 to 256":  {Concurrency: -1},
		"concurrency: 257 is not within 1 to 256": {Concurrency: 257},
		`order_key: "a..b" has an empty name`:     {OrderKey: "a..b"},
		`order_key: "a+" has an empty name`:       {OrderKey: "a+"},
		"max_age: -1ns is negative":               {MaxAge: -1},
		"stands alone":                            {OrderKey: "payload+a"},
		"must be printable":                       {OrderKey: "a\x1b"},
		"1025 bytes are more than 1024":           {OrderKey: strings.Repeat("x", 1025)},
	} {
		bad.URL = "http://h"
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%v does not say %q", err, wanted)
		}
	}
}
